// What a Node client makes of secrets: node reader.js, with {client, region, endpoint, table, names, key} as JSON on stdin.
// Gives [value, error] for each name; with {put: [...]} too, nodecredstash's putSecret is called with these first.
const { client, region, endpoint, table, names, key, put = [] } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const modules = process.env.CLIENTS;

async function nodecredstash() {
  const Credstash = require(`${modules}/nodecredstash`);
  const found = new Credstash({ table, kmsKey: key, dynamoOpts: { region, endpoint }, kmsOpts: { region, endpoint } });
  for (const one of put) await found.putSecret(one);
  return names.map(([name, context]) => () => found.getSecret({ name, ...(context && { context }) }));
}

async function credstash() {
  const AWS = require(`${modules}/aws-sdk`);
  AWS.config.update({ region, dynamodb: { endpoint }, kms: { endpoint } });
  const Credstash = require(`${modules}/credstash`);
  const found = new Credstash({ table });
  return names.map(([name]) => () =>
    new Promise((resolve, reject) => found.get(name, (error, value) => (error ? reject(error) : resolve(value)))));
}

(async () => {
  const results = [];
  for (const read of await { nodecredstash, credstash }[client]()) {
    try {
      results.push([await read(), null]);
    } catch (error) {
      results.push([null, String(error)]);
    }
  }
  process.stdout.write(JSON.stringify(results));
})();
