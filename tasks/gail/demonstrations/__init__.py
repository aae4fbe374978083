"""What an expert did: pairs of a state and an action, in files without pickle."""

from tasks.gail.demonstrations.any_format import read
from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.gail.demonstrations.files import load, save
from tasks.gail.demonstrations.from_imitation import from_imitation
from tasks.gail.demonstrations.from_minari import from_minari
from tasks.gail.demonstrations.shipped import shipped

__all__ = ["Demonstrations", "from_imitation", "from_minari", "load", "read", "save", "shipped"]
