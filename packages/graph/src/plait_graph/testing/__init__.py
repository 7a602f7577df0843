"""For tests of graphs: find races, drive time and runs by hand, record events, fake steps.

Stands on the public rooms and beside the driver; nothing in the package imports it.
"""

from plait_graph.testing.clock import TestClock, Timer
from plait_graph.testing.fakes import FakeStep, Gate, replace_steps
from plait_graph.testing.manual import ManualRun, ManualTask
from plait_graph.testing.orders import Deadlock, EndlessRun, OrderDependence, OrderResult, OrdersReport, any_order
from plait_graph.testing.recording import RecordedEvents

__all__ = (
    'Deadlock',
    'EndlessRun',
    'FakeStep',
    'Gate',
    'ManualRun',
    'ManualTask',
    'OrderDependence',
    'OrderResult',
    'OrdersReport',
    'RecordedEvents',
    'TestClock',
    'Timer',
    'any_order',
    'replace_steps',
)
