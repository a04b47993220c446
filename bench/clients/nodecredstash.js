// nodecredstash: node nodecredstash.js TABLE [NAME]; without a name, all secrets as JSON.
const Credstash = require(`${process.env.BENCH_MODULES}/nodecredstash`);

const [table, name] = process.argv.slice(2);
const region = process.env.AWS_DEFAULT_REGION;
const credstash = new Credstash({
  table,
  dynamoOpts: { region, endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB },
  kmsOpts: { region, endpoint: process.env.AWS_ENDPOINT_URL },
});
const found = name ? credstash.getSecret({ name }) : credstash.getAllSecrets();
found.then((value) => console.log(name ? value : JSON.stringify(value)), (error) => {
  console.error(error);
  process.exit(1);
});
