"""What `dynastash --help` says, laid out for the usual widths of a terminal.

Made from the commands' own help by ``python -m tests.cli.reference --write``.
"""

from __future__ import annotations

from typing import Final

BY_WIDTH: Final = {
    80: """\
Usage: dynastash [OPTIONS] COMMAND [ARGS]...

  Versioned secrets in DynamoDB under KMS, or in a file on this machine.

  Without any configuration the environment is "local": an encrypted SQLite
  file in your data directory. Any other environment is a DynamoDB table and
  its KMS keys, which "dynastash deploy ENV" creates.

  "dynastash COMMAND --help" shows a command's options. They stand anywhere
  behind COMMAND, and the global ones before it too.

Secrets:
  put         Store a value as the new current version of NAME.
  get         Print the value of NAME.
  list        List secrets, or those whose names start with PREFIX.
  history     Show every version of NAME: who wrote it, when and why.
  diff        Compare version ONE of NAME with version OTHER, or with the
              current one.
  generate    Store a new random value as the next version of NAME.
  rotate      Replace the value of NAME by a new one: create, set, test,
              finish.
  rollback    Make an earlier value of NAME current again, as a new version.

Their end:
  delete      Hide NAME, or one version of it, so that it is not given out.
  undelete    Take the deletion of NAME, or of one version of it, back.
  destroy     Erase NAME, or versions of it, for good.
  prune       Erase old versions for good, or deleted secrets that are due.

Use:
  run         Run PROGRAM with secrets as environment variables: all of them,
              or it does not start.
  render      Fill the secrets into TEMPLATE, a file or -.
  sync        Keep copies of secrets where ECS, CloudFormation and other
              services of AWS read them.
  publish     Write current values into a credstash table, for programs that
              go on reading it.

Operate:
  deploy      Create or update the table and the keys of ENV on AWS.
  doctor      Say what is wrong with the environment, and the next step.
  policy      Print the least-privilege IAM policy for what is asked, or check
              existing ones.
  grant       Let ROLE use secrets: attach the least policy, or add to it.
  revoke      Take back what `grant` gave to ROLE, or only NAMES of it, and
              list what is to be rotated now.
  access      Say who may read or replace the secret NAME, or with --role what
              one role may.
  audit       Show who minted, unwrapped or rewrapped which version, when and
              from where.
  verify      Check every record of the environment, or of the secrets whose
              names start with PREFIX.
  advance     Let the next version of NAME be N + 1: after a restore, when N
              was used already.
  rewrap      Wrap data keys anew, under the key that new versions get.
  export      Back the environment up with --sealed, or hand secrets over to
              another program with --format.
  import      Take secrets from FILE (- for standard input), the current
              values of another place, or restore a...
  migrate     Bring secrets over with all their versions; nothing at the
              source is changed.
  env         Show the environments, which one is in use, and why.
  completion  Print a script for SHELL that completes commands, options and
              names.

Global options:
  -e, --env ENV        The environment to use; see dynastash env.
  -o, --output FORMAT  table, json or yaml.  [default: table]
  -v, --verbose        Say on stderr what is used.
  --region REGION      AWS Region.
  --profile PROFILE    AWS profile.
  --role-arn ARN       IAM role to assume.
  --endpoint-url URL   Endpoint instead of AWS's own.
  --table TABLE        DynamoDB table.  [default: dynastash-ENV]
  --key KEY            KMS key.  [default: alias/dynastash-ENV]
  --concurrency N      Calls to KMS in flight at once, 1 to 64.  [default: 32]
  -V, --version        Show the version and exit.
  -h, --help           Show this message and exit.
""",
    100: """\
Usage: dynastash [OPTIONS] COMMAND [ARGS]...

  Versioned secrets in DynamoDB under KMS, or in a file on this machine.

  Without any configuration the environment is "local": an encrypted SQLite file in your data
  directory. Any other environment is a DynamoDB table and its KMS keys, which "dynastash deploy
  ENV" creates.

  "dynastash COMMAND --help" shows a command's options. They stand anywhere behind COMMAND, and
  the global ones before it too.

Secrets:
  put         Store a value as the new current version of NAME.
  get         Print the value of NAME.
  list        List secrets, or those whose names start with PREFIX.
  history     Show every version of NAME: who wrote it, when and why.
  diff        Compare version ONE of NAME with version OTHER, or with the current one.
  generate    Store a new random value as the next version of NAME.
  rotate      Replace the value of NAME by a new one: create, set, test, finish.
  rollback    Make an earlier value of NAME current again, as a new version.

Their end:
  delete      Hide NAME, or one version of it, so that it is not given out.
  undelete    Take the deletion of NAME, or of one version of it, back.
  destroy     Erase NAME, or versions of it, for good.
  prune       Erase old versions for good, or deleted secrets that are due.

Use:
  run         Run PROGRAM with secrets as environment variables: all of them, or it does not
              start.
  render      Fill the secrets into TEMPLATE, a file or -.
  sync        Keep copies of secrets where ECS, CloudFormation and other services of AWS read
              them.
  publish     Write current values into a credstash table, for programs that go on reading it.

Operate:
  deploy      Create or update the table and the keys of ENV on AWS.
  doctor      Say what is wrong with the environment, and the next step.
  policy      Print the least-privilege IAM policy for what is asked, or check existing ones.
  grant       Let ROLE use secrets: attach the least policy, or add to it.
  revoke      Take back what `grant` gave to ROLE, or only NAMES of it, and list what is to be
              rotated now.
  access      Say who may read or replace the secret NAME, or with --role what one role may.
  audit       Show who minted, unwrapped or rewrapped which version, when and from where.
  verify      Check every record of the environment, or of the secrets whose names start with
              PREFIX.
  advance     Let the next version of NAME be N + 1: after a restore, when N was used already.
  rewrap      Wrap data keys anew, under the key that new versions get.
  export      Back the environment up with --sealed, or hand secrets over to another program with
              --format.
  import      Take secrets from FILE (- for standard input), the current values of another place,
              or restore a...
  migrate     Bring secrets over with all their versions; nothing at the source is changed.
  env         Show the environments, which one is in use, and why.
  completion  Print a script for SHELL that completes commands, options and names.

Global options:
  -e, --env ENV        The environment to use; see dynastash env.
  -o, --output FORMAT  table, json or yaml.  [default: table]
  -v, --verbose        Say on stderr what is used.
  --region REGION      AWS Region.
  --profile PROFILE    AWS profile.
  --role-arn ARN       IAM role to assume.
  --endpoint-url URL   Endpoint instead of AWS's own.
  --table TABLE        DynamoDB table.  [default: dynastash-ENV]
  --key KEY            KMS key.  [default: alias/dynastash-ENV]
  --concurrency N      Calls to KMS in flight at once, 1 to 64.  [default: 32]
  -V, --version        Show the version and exit.
  -h, --help           Show this message and exit.
""",
}
