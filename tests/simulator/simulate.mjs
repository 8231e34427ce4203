// One question a line, as JSON; one answer a line: Allowed, ImplicitlyDenied, ExplicitlyDenied, or what is wrong with it.

import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const { account, action, resource, context, policy } = JSON.parse(line)
  const outcome = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${account}:role/whoever`,
        action,
        resource: { resource, accountId: account },
        contextVariables: context
      },
      identityPolicies: [{ name: 'printed', policy }],
      serviceControlPolicies: [],
      resourceControlPolicies: []
    },
    {}
  )
  console.log(outcome.overallResult ?? JSON.stringify(outcome.errors))
}
