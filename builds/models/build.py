"""Build: one attempt of a CI run."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from builds.choices import BuildStatus
from core.ids import uuid7
from core.models import Owned
from integrations.models import Repository


class Build(Owned):
    """Named after TravisTorrent where it has a word (https://travistorrent.testroots.org); docs/builds.md maps field by field.

    One row for each (project, source, build_id, attempt), however often it is reported.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.CharField(max_length=255, help_text="gh_project_name: owner/name.")
    source = models.CharField(
        max_length=40, help_text="Where it ran or was imported from: github, gitlab, jenkins, circleci, travistorrent, api, …"
    )
    build_id = models.CharField(max_length=100, help_text="tr_build_id: the source's own id of the run.")
    attempt = models.PositiveIntegerField(default=1)
    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.SET_NULL, related_name="builds", db_index=False,
        help_text="Where the project is a known repository.",
    )  # fmt: skip
    number = models.CharField(max_length=40, blank=True, help_text="tr_build_number.")
    workflow = models.CharField(max_length=255, blank=True)
    branch = models.CharField(max_length=255, blank=True, help_text="git_branch.")
    commit = models.CharField(max_length=64, blank=True, help_text="git_trigger_commit.")
    event = models.CharField(max_length=60, blank=True, help_text="What started it: push, pull_request, schedule, …")
    is_pull_request = models.BooleanField(default=False, help_text="gh_is_pr.")
    status = models.CharField(max_length=10, choices=BuildStatus.choices, help_text="tr_status, in one vocabulary.")
    conclusion = models.CharField(max_length=40, blank=True, help_text="The source's own word for how it ended.")
    started_at = models.DateTimeField(null=True, blank=True, help_text="gh_build_started_at.")
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True, help_text="tr_duration.")
    tests_run = models.PositiveIntegerField(null=True, blank=True, help_text="tr_log_num_tests_run.")
    tests_failed = models.PositiveIntegerField(null=True, blank=True, help_text="tr_log_num_tests_failed.")
    jobs = models.PositiveIntegerField(null=True, blank=True, help_text="How many jobs it had (tr_jobs).")
    language = models.CharField(max_length=60, blank=True, help_text="gh_lang.")
    actor = models.CharField(max_length=255, blank=True)
    url = models.CharField(max_length=2000, blank=True)
    extra = models.JSONField(default=dict, blank=True, help_text="Further TravisTorrent columns, by their names.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "source", "build_id", "attempt"], name="build_once_per_attempt")]
        indexes = [
            models.Index(fields=["owner", "-id"], name="build_owner_idx"),
            models.Index(fields=["repository", "-id"], name="build_repository_idx"),
            models.Index(fields=["project", "-id"], name="build_project_idx"),
            models.Index(fields=["status", "-id"], name="build_status_idx"),
            models.Index(fields=["source", "-id"], name="build_source_idx"),
            models.Index(fields=["commit", "-id"], name="build_commit_idx"),
            models.Index(fields=["project", "workflow", "branch", "started_at"], name="build_streak_idx"),
            models.Index(fields=["started_at"], name="build_started_idx"),
            models.Index(
                fields=["repository", "branch", "-started_at", "-attempt"],
                name="build_badge_idx",
                condition=models.Q(repository__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} {self.workflow} {self.number or self.build_id}"
