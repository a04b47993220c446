"""Who minted and unwrapped which version, by CloudTrail's record of KMS calls, and whether the table agrees.

Every call of dynastash's to KMS names the environment, the secret and the version in its encryption context, which
CloudTrail records. Events come from :mod:`dynastash.audit.cloudtrail` or :mod:`dynastash.audit.files`;
:mod:`dynastash.audit.check` holds them against the table.
"""

from dynastash.audit.events import Event, Filter, Kind, event_of

__all__ = ["Event", "Filter", "Kind", "event_of"]
