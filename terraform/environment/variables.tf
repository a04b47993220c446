variable "environment_name" {
  description = "The environment's name. It is bound into every record and cannot change later."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.environment_name))
    error_message = "1 to 31 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "table_name" {
  description = "The table's name; empty for dynastash-<env>."
  type        = string
  default     = ""
}

variable "key_alias" {
  description = "The envelope key's alias; empty for alias/dynastash-<env>."
  type        = string
  default     = ""
}

variable "point_in_time_recovery_days" {
  description = "For how many days back the table can be restored to any second."
  type        = number
  default     = 35
}

variable "allow_move_between_keys" {
  description = "Let data keys be re-encrypted from or to another KMS key, for the length of a move only."
  type        = bool
  default     = false
}

variable "former_key_arn" {
  description = "The key that data keys are still wrapped under, during a move between keys."
  type        = string
  default     = ""
}

variable "managed_policies" {
  description = "The managed policies: for the whole environment, by the principal's tag dynastash-prefix, or none."
  type        = string
  default     = "environment"

  validation {
    condition     = contains(["environment", "tag", "none"], var.managed_policies)
    error_message = "One of environment, tag and none."
  }
}

variable "context_keys" {
  description = "Further keys of encryption contexts that the managed policies allow."
  type        = list(string)
  default     = []
}

variable "multi_region_key" {
  description = "Make the envelope key a multi-Region key. It cannot change later."
  type        = bool
  default     = false
}

variable "replica_region" {
  description = "A second Region in which the table can be read. It cannot change later, and takes a multi-Region key."
  type        = string
  default     = ""
}
