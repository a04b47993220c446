"""CloudFormation: one stack for each environment, changed only by change sets that could be looked at first.

:meth:`Deployer.plan` makes a change set and says what it would do. :meth:`Deployer.apply` carries it out,
:meth:`Deployer.discard` throws it away and leaves nothing behind. Nothing in here prints, asks or exits.
"""

from dynastash.deploy.deployer import Deployer, stack_name
from dynastash.deploy.drift import Drift, drift_of
from dynastash.deploy.plan import Change, Deployment, Event, Plan
from dynastash.deploy.templates import import_template, template
from dynastash.deploy.wire import make_client

__all__ = [
    "Change",
    "Deployer",
    "Deployment",
    "Drift",
    "Event",
    "Plan",
    "drift_of",
    "import_template",
    "make_client",
    "stack_name",
    "template",
]
