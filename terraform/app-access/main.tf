# One application's access to the secrets below its prefix: for a role that exists, or one that is made for what the
# application runs on. The policy is the one that `dynastash policy` prints for PREFIX/*; a test holds the two together.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  rotates      = var.access == "rotate"
  writes       = local.rotates || var.access == "write"
  context_keys = concat(["dynastash:env", "dynastash:format", "dynastash:name", "dynastash:version"], var.context_keys)
  name         = "dynastash-${var.environment_name}-${replace(var.prefix, "/[^A-Za-z0-9]/", "-")}-${var.access}"
}

data "aws_iam_policy_document" "access" {
  statement {
    sid       = "ReadRecords"
    effect    = "Allow"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:Query"]
    resources = [var.table_arn]

    condition {
      test     = "ForAllValues:StringLike"
      variable = "dynamodb:LeadingKeys"
      values   = ["${var.prefix}/*"]
    }

    condition {
      test     = "Null"
      variable = "dynamodb:LeadingKeys"
      values   = ["false"]
    }
  }

  statement {
    sid       = "ListNames"
    effect    = "Allow"
    actions   = ["dynamodb:Query"]
    resources = ["${var.table_arn}/index/by-namespace"]

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "dynamodb:LeadingKeys"
      values   = [split("/", var.prefix)[0]]
    }

    condition {
      test     = "Null"
      variable = "dynamodb:LeadingKeys"
      values   = ["false"]
    }
  }

  statement {
    sid       = "OpenValues"
    effect    = "Allow"
    actions   = ["kms:Decrypt"]
    resources = [var.envelope_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:dynastash:env"
      values   = [var.environment_name]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:dynastash:name"
      values   = ["${var.prefix}/*"]
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "kms:EncryptionContextKeys"
      values   = local.context_keys
    }
  }

  dynamic "statement" {
    for_each = local.writes ? ["WriteInTransactions"] : []
    content {
      sid       = "WriteInTransactions"
      effect    = "Allow"
      actions   = ["dynamodb:PutItem"]
      resources = [var.table_arn]

      condition {
        test     = "ForAllValues:StringLike"
        variable = "dynamodb:LeadingKeys"
        values   = ["${var.prefix}/*"]
      }

      condition {
        test     = "Null"
        variable = "dynamodb:LeadingKeys"
        values   = ["false"]
      }

      condition {
        test     = "ForAnyValue:StringEquals"
        variable = "dynamodb:EnclosingOperation"
        values   = ["TransactWriteItems"]
      }
    }
  }

  dynamic "statement" {
    for_each = local.rotates ? ["PruneInTransactions"] : []
    content {
      sid       = "PruneInTransactions"
      effect    = "Allow"
      actions   = ["dynamodb:DeleteItem"]
      resources = [var.table_arn]

      condition {
        test     = "ForAllValues:StringLike"
        variable = "dynamodb:LeadingKeys"
        values   = ["${var.prefix}/*"]
      }

      condition {
        test     = "Null"
        variable = "dynamodb:LeadingKeys"
        values   = ["false"]
      }

      condition {
        test     = "ForAnyValue:StringEquals"
        variable = "dynamodb:EnclosingOperation"
        values   = ["TransactWriteItems"]
      }
    }
  }

  dynamic "statement" {
    for_each = local.writes ? ["MintDataKeys"] : []
    content {
      sid       = "MintDataKeys"
      effect    = "Allow"
      actions   = ["kms:GenerateDataKey"]
      resources = [var.envelope_key_arn]

      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:dynastash:env"
        values   = [var.environment_name]
      }

      condition {
        test     = "StringLike"
        variable = "kms:EncryptionContext:dynastash:name"
        values   = ["${var.prefix}/*"]
      }

      condition {
        test     = "ForAllValues:StringEquals"
        variable = "kms:EncryptionContextKeys"
        values   = local.context_keys
      }
    }
  }
}

resource "aws_iam_policy" "access" {
  name        = local.name
  description = "dynastash ${var.environment_name}: ${var.access} below ${var.prefix}"
  policy      = data.aws_iam_policy_document.access.json
}

resource "aws_iam_role_policy_attachment" "access" {
  role       = var.role_name != "" ? var.role_name : aws_iam_role.app[0].name
  policy_arn = aws_iam_policy.access.arn
}
