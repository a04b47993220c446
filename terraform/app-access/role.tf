locals {
  services = {
    "ec2"              = "ec2.${data.aws_partition.current.dns_suffix}"
    "ecs-task"         = "ecs-tasks.amazonaws.com"
    "lambda"           = "lambda.amazonaws.com"
    "eks-pod-identity" = "pods.eks.amazonaws.com"
  }
  of_service = contains(keys(local.services), var.principal)
  of_token   = contains(["irsa", "oidc"], var.principal)
  account    = data.aws_caller_identity.current.account_id
  subject    = var.principal == "irsa" ? "system:serviceaccount:${var.namespace}:${var.service_account}" : var.oidc_subject
}

data "aws_iam_policy_document" "trust" {
  dynamic "statement" {
    for_each = local.of_service ? ["service"] : []
    content {
      effect  = "Allow"
      actions = var.principal == "eks-pod-identity" ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"]

      principals {
        type        = "Service"
        identifiers = [local.services[var.principal]]
      }

      # ECS says for whom it asks; the others do not.
      dynamic "condition" {
        for_each = var.principal == "ecs-task" ? ["account"] : []
        content {
          test     = "StringEquals"
          variable = "aws:SourceAccount"
          values   = [local.account]
        }
      }

      dynamic "condition" {
        for_each = var.principal == "ecs-task" ? ["source"] : []
        content {
          test     = "ArnLike"
          variable = "aws:SourceArn"
          values = [
            "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.name}:${local.account}:*"
          ]
        }
      }
    }
  }

  dynamic "statement" {
    for_each = local.of_token ? ["token"] : []
    content {
      effect  = "Allow"
      actions = ["sts:AssumeRoleWithWebIdentity"]

      principals {
        type = "Federated"
        identifiers = [
          "arn:${data.aws_partition.current.partition}:iam::${local.account}:oidc-provider/${var.oidc_provider}"
        ]
      }

      condition {
        test     = "StringEquals"
        variable = "${var.oidc_provider}:aud"
        values   = [var.oidc_audience]
      }

      condition {
        test     = "StringLike"
        variable = "${var.oidc_provider}:sub"
        values   = [local.subject]
      }
    }
  }

  dynamic "statement" {
    for_each = var.principal == "saml" ? ["saml"] : []
    content {
      effect  = "Allow"
      actions = ["sts:AssumeRoleWithSAML"]

      principals {
        type        = "Federated"
        identifiers = [var.saml_provider_arn]
      }

      condition {
        test     = "StringEquals"
        variable = "SAML:aud"
        values   = ["https://signin.aws.amazon.com/saml"]
      }
    }
  }
}

resource "aws_iam_role" "app" {
  count              = var.role_name == "" ? 1 : 0
  name_prefix        = "dynastash-${var.environment_name}-"
  description        = "dynastash ${var.environment_name}: ${var.access} below ${var.prefix}"
  assume_role_policy = data.aws_iam_policy_document.trust.json

  tags = {
    "dynastash:environment" = var.environment_name
  }

  lifecycle {
    precondition {
      condition     = !local.of_token || (var.oidc_provider != "" && local.subject != "" && !endswith(local.subject, ":"))
      error_message = "oidc takes oidc_provider and oidc_subject, irsa oidc_provider and service_account."
    }
    precondition {
      condition     = var.principal != "saml" || var.saml_provider_arn != ""
      error_message = "saml takes saml_provider_arn."
    }
  }
}

resource "aws_iam_instance_profile" "app" {
  count       = var.role_name == "" && var.principal == "ec2" ? 1 : 0
  name_prefix = "dynastash-${var.environment_name}-"
  role        = aws_iam_role.app[0].name
}
