"""IAM policies: the least that a use of secrets needs (:mod:`~dynastash.policy.document`), what given policies answer
(:mod:`~dynastash.policy.evaluator`), and what they open or leave too wide (:mod:`~dynastash.policy.check`).

Nothing in here calls AWS, reads a file or writes one.
"""
