"""The lessons of an attacker that is a teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup
from tasks.vision.methods import L2L, Teacher


@dataclass(frozen=True)
class TeacherSettings(SettingsGroup):
    """When the attacker of teacher-l2l has a lesson, and how the classifier is examined in it."""

    teacher_every: int = 10
    """With teacher-l2l: a lesson before every so many steps."""

    teacher_exam_steps: int = 3
    """With teacher-l2l: the number of steps of the attack in the exam, which are along the gradient's sign."""

    teacher_exam_step: float = 0.5
    """With teacher-l2l: the length of such a step, in multiples of eps."""

    teacher_pupil_steps: int = 1
    """With teacher-l2l: how many steps the classifier takes in a lesson before its exam."""

    teacher_exam: str = "halves"
    """With teacher-l2l: what a lesson is about: halves (learn from the first half of the batch, examine on the second)
    or same (both on the whole batch)."""

    def teaching(self, method: Teacher, attacker: L2L) -> Teacher:
        """Return ``method`` with these settings and ``attacker``."""
        return replace(
            method,
            attacker=attacker,
            every=self.teacher_every,
            exam_steps=self.teacher_exam_steps,
            exam_step=self.teacher_exam_step,
            pupil_steps=self.teacher_pupil_steps,
            split=tables.EXAMS[self.teacher_exam],
        )

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.EXAMS, self.teacher_exam, "exam")
        self.check_positive("teacher_every", "teacher_exam_steps", "teacher_exam_step", "teacher_pupil_steps")
