// Answers requests by @cloud-copilot/iam-simulate: a JSON list of {policies, action, resource, context, principal} on
// standard input, a JSON list of "Allowed", "ImplicitlyDenied", "ExplicitlyDenied" or "error: …" on standard output.
// The program is AGPL and runs as a process of its own; nothing of it is shipped.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const { runSimulation } = createRequire(process.argv[2] + '/')('@cloud-copilot/iam-simulate')
const account = '111122223333'
// KMS lets identities have a say where the key's policy names the account.
const keyPolicy = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' },
  ],
}
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
const scps = [{ orgIdentifier: 'o-1', policies: [{ name: 'all', policy: everything }] }]

const answers = []
for (const asked of JSON.parse(readFileSync(0, 'utf8'))) {
  const result = await runSimulation(
    {
      request: {
        principal: asked.principal,
        action: asked.action,
        resource: { resource: asked.resource, accountId: account },
        contextVariables: asked.context,
      },
      identityPolicies: asked.policies.map((policy, index) => ({ name: `p${index}`, policy })),
      serviceControlPolicies: scps,
      resourceControlPolicies: [],
      ...(asked.action.startsWith('kms:') ? { resourcePolicy: keyPolicy } : {}),
    },
    {},
  )
  answers.push(result.resultType === 'error' ? `error: ${JSON.stringify(result.errors)}` : result.overallResult)
}
process.stdout.write(JSON.stringify(answers))
