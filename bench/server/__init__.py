"""A server that answers as DynamoDB, KMS and a little of STS, SSM and Secrets Manager do, each after a fixed delay.

It is made to be measured against: everything is in memory, replies to repeated requests are kept as bytes, and nothing
is protected. ``python -m bench.server`` runs it by itself.
"""
