"""Who may read which secret: policies attached to roles and taken back, and the account's own policies asked.

:mod:`~dynastash.access.grants` changes one inline policy of a role; :mod:`~dynastash.access.account` reads the
account's principals with their policies; :mod:`~dynastash.access.readers` says what they open.
"""
