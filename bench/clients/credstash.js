// npm's credstash: node credstash.js TABLE NAME. It takes no endpoint, so its SDK is told of it beforehand.
const AWS = require(`${process.env.BENCH_MODULES}/aws-sdk`);

AWS.config.update({
  dynamodb: { endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB },
  kms: { endpoint: process.env.AWS_ENDPOINT_URL },
});
const Credstash = require(`${process.env.BENCH_MODULES}/credstash`);

const [table, name] = process.argv.slice(2);
new Credstash({ table }).get(name, (error, value) => {
  if (error) {
    console.error(error);
    process.exit(1);
  }
  console.log(value);
});
