output "table_name" {
  description = "The table."
  value       = aws_cloudformation_stack.environment.outputs["TableName"]
}

output "table_arn" {
  description = "The table's ARN."
  value       = aws_cloudformation_stack.environment.outputs["TableArn"]
}

output "envelope_key_arn" {
  description = "The ARN of the key that wraps the data keys."
  value       = aws_cloudformation_stack.environment.outputs["EnvelopeKeyArn"]
}

output "policy_arns" {
  description = "The managed policies by role: reader, writer, rotator and admin; empty where there are none."
  value = {
    for role in ["Reader", "Writer", "Rotator", "Admin"] :
    lower(role) => aws_cloudformation_stack.environment.outputs["${role}PolicyArn"]
    if var.managed_policies != "none"
  }
}
