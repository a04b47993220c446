# One environment of dynastash: the CloudFormation stack that `dynastash deploy` makes, kept by Terraform.
#
# The template stays the one source: what doctor and deploy compare with is what is there, and a change of the table's
# or the key's protections comes with the release that needs it.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

resource "aws_cloudformation_stack" "environment" {
  name          = "dynastash-${var.environment_name}"
  template_body = file("${path.module}/../../cloudformation/environment.yaml")
  capabilities  = var.managed_policies == "none" ? [] : ["CAPABILITY_NAMED_IAM"]

  parameters = {
    EnvironmentName         = var.environment_name
    TableName               = var.table_name
    KeyAlias                = var.key_alias
    PointInTimeRecoveryDays = var.point_in_time_recovery_days
    AllowMoveBetweenKeys    = var.allow_move_between_keys
    FormerKeyArn            = var.former_key_arn
    ManagedPolicies         = var.managed_policies
    ContextKeys             = join(",", var.context_keys)
    MultiRegionKey          = var.multi_region_key
    ReplicaRegion           = var.replica_region
  }

  # The table and the keys outlive the stack all the same: they are retained.
  lifecycle {
    prevent_destroy = true
  }
}
