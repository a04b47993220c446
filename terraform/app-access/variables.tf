variable "environment_name" {
  description = "The environment."
  type        = string
}

variable "table_arn" {
  description = "The table's ARN: output table_arn of the module environment."
  type        = string
}

variable "envelope_key_arn" {
  description = "The envelope key's ARN: output envelope_key_arn of the module environment."
  type        = string
}

variable "prefix" {
  description = "The prefix without its slash, as in app1 for all secrets below app1."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_.@+=:-]*(/[A-Za-z0-9_.@+=:-]+)*$", var.prefix))
    error_message = "Segments of a secret's name joined by slashes, without one at the end."
  }
}

variable "access" {
  description = "What the application may do: read, write or rotate; each includes the one before."
  type        = string
  default     = "read"

  validation {
    condition     = contains(["read", "write", "rotate"], var.access)
    error_message = "One of read, write and rotate."
  }
}

variable "context_keys" {
  description = "Further keys of encryption contexts that are allowed (put --context)."
  type        = list(string)
  default     = []
}

variable "role_name" {
  description = "The name of a role that exists; empty to make one."
  type        = string
  default     = ""
}

variable "principal" {
  description = "What the application runs on, for a role to be made."
  type        = string
  default     = "ec2"

  validation {
    condition     = contains(["ec2", "ecs-task", "lambda", "eks-pod-identity", "irsa", "oidc", "saml"], var.principal)
    error_message = "One of ec2, ecs-task, lambda, eks-pod-identity, irsa, oidc and saml."
  }
}

variable "namespace" {
  description = "With irsa, the Kubernetes namespace."
  type        = string
  default     = "default"
}

variable "service_account" {
  description = "With irsa, the service account."
  type        = string
  default     = ""
}

variable "oidc_provider" {
  description = "With irsa and oidc, the identity provider without https, as in token.actions.githubusercontent.com."
  type        = string
  default     = ""
}

variable "oidc_subject" {
  description = "With oidc, who may assume the role, as in repo:OWNER/REPOSITORY:environment:production."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^repo:[^*?:/]+/[^*?:/]+:.+$|^[^*?]+$", var.oidc_subject))
    error_message = "A subject without wildcards but behind repo:OWNER/REPOSITORY and a colon."
  }
}

variable "oidc_audience" {
  description = "With irsa and oidc, the audience of the token."
  type        = string
  default     = "sts.amazonaws.com"
}

variable "saml_provider_arn" {
  description = "With saml, the identity provider."
  type        = string
  default     = ""
}
