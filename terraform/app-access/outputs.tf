output "policy_arn" {
  description = "The policy."
  value       = aws_iam_policy.access.arn
}

output "role_arn" {
  description = "The role that was made; empty for one that existed."
  value       = var.role_name == "" ? aws_iam_role.app[0].arn : ""
}

output "instance_profile_name" {
  description = "With ec2, the instance profile to start instances with."
  value       = one(aws_iam_instance_profile.app[*].name)
}
