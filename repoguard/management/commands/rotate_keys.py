"""Re-encrypts every stored secret under the first of FERNET_KEYS while the portal runs; docs/encryption.md has the procedure."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from access import audit
from access.choices import AuditVerb
from core import context, key_rotation, keys_in_use
from core.encrypted_columns import NO_KEY, EncryptedColumn, columns
from core.errors import Conflict, RepoGuardError
from core.key_rotation import Rotated, Unreadable
from core.models import EncryptionKey
from core.progress import ProgressLine

_MOST_LISTED = 20


class Command(BaseCommand):
    """Ends with 1 when a value can't be read or is still under another key. A killed run is simply started again."""

    help = "Re-encrypt every stored secret under the first of FERNET_KEYS, while the portal runs. May be killed and started again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--batch", type=int, default=1000, help="Values in one transaction (SQLite: at most 1,000). Default: 1000.")
        parser.add_argument("--stopped", action="store_true", help="The portal does not run: no process could lack the new key.")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--dry-run", action="store_true", help="Change nothing; say how many values would be re-encrypted.")
        mode.add_argument("--verify", action="store_true", help="Change nothing; decrypt every value and list what can't be read.")
        mode.add_argument("--status", action="store_true", help="Say which keys are in use, by which fields, and which can be dropped.")
        mode.add_argument("--give-up", metavar="KEY_ID", help="Declare a key lost for good, so that the portal starts without it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked for."""
        if not 1 <= options["batch"] <= 10_000:
            raise CommandError("--batch must be 1 to 10000.")
        try:
            with context.acting(context.Actor("command", "", "command rotate_keys")):
                self._run(options)
        except RepoGuardError as error:
            raise CommandError(error.message) from error
        except OperationalError as error:
            line = str(error).partition("\n")[0]
            raise CommandError(f"The database failed ({line}). Nothing is lost: run the command again and it goes on.") from error

    def _run(self, options: dict[str, Any]) -> None:
        if options["status"]:
            self._status()
        elif options["give_up"]:
            self._give_up(options["give_up"])
        elif options["verify"]:
            self._verify(options["batch"])
        elif options["dry_run"]:
            waiting = self._waiting()
            self.stdout.write(f"{sum(waiting.values()):,} values would be re-encrypted under {key_rotation.current_key()}.")
            self._list(waiting)
        else:
            if not options["stopped"]:
                keys_in_use.refuse_unstarted()
            self._rotate(options["batch"])

    def _rotate(self, batch: int) -> None:
        waiting = self._waiting()
        current = key_rotation.current_key()
        key, _ = EncryptionKey.objects.get_or_create(key_id=current)
        audit.record(AuditVerb.ACTED, key, action="rotate-keys: started", changes={"values": [sum(waiting.values()), None]})
        self.stdout.write(f"Re-encrypting {sum(waiting.values()):,} values under {current}.")
        bar = ProgressLine(self.stdout, "re-encrypted", sum(waiting.values()))
        done: dict[str, Rotated] = {}
        for column in columns():
            done[column.label] = key_rotation.rotate(column, batch=batch, on_progress=bar)
        bar.finish()
        changed = {label: rotated.changed for label, rotated in done.items() if rotated.changed}
        self._list(changed)
        retaken = sum(rotated.retaken for rotated in done.values())
        if retaken:
            self.stdout.write(f"{retaken:,} values were changed by others meanwhile, and taken again.")
        audit.record(AuditVerb.ACTED, key, action="rotate-keys: finished", changes={label: [0, count] for label, count in changed.items()})
        self._verify(batch, current)

    def _verify(self, batch: int, current: str = "") -> None:
        """Decrypt everything; with `current`, values under another key are a failure as well."""
        total = sum(sum(column.counts().values()) for column in columns())
        bar = ProgressLine(self.stdout, "verified", total)
        found = {column.label: key_rotation.verify(column, batch=batch, on_progress=bar) for column in columns()}
        bar.finish()
        others: Counter[str] = Counter()
        for label, verified in found.items():
            words = ", ".join(f"{count:,} under {name}" for name, count in sorted(verified.counts.items())) or "none"
            self.stdout.write(f"  {label:<42} {words}")
            others.update({name: count for name, count in verified.counts.items() if name != current})
        unreadable = [item for verified in found.values() for item in verified.unreadable]
        if unreadable:
            raise CommandError(_listed(unreadable))
        if current and others.total():
            names = ", ".join(f"{count:,} under {name}" for name, count in sorted(others.items()))
            raise CommandError(
                f"{names}: a process that was not restarted still writes with an older key."
                " Restart every web server and worker, then run this again."
            )
        summary = f" and is under {current}" if current else ""
        self.stdout.write(f"Every value can be read{summary}.")

    def _status(self) -> None:
        if lacking := keys_in_use.missing():
            raise Conflict(keys_in_use.sentence(lacking))
        uses = keys_in_use.status()
        for use in uses:
            self.stdout.write(f"{use.key_id}  {_standing(use)}")
            for label, count in sorted(use.uses.items()):
                self.stdout.write(f"    {label:<40} {count:,}")
        droppable = [use.key_id for use in uses if use.can_be_dropped]
        if droppable:
            self.stdout.write(f"Can be dropped from FERNET_KEYS: {', '.join(droppable)}.")
        elif len(settings.FERNET_KEYS) > 1:
            self.stdout.write("No key can be dropped: run `manage.py rotate_keys` first.")

    def _give_up(self, name: str) -> None:
        key = keys_in_use.give_up(name)
        audit.record(AuditVerb.ACTED, key, action="rotate-keys: gave up")
        self.stdout.write(f"{key} is given up: the portal starts without it. Values that name it stay unreadable until they are set anew.")

    def _waiting(self) -> dict[str, int]:
        current = key_rotation.current_key()
        found = {column.label: _under_others(column, current) for column in columns()}
        return {label: count for label, count in found.items() if count}

    def _list(self, counts: dict[str, int]) -> None:
        for label, count in counts.items():
            self.stdout.write(f"  {label:<42} {count:,}")


def _under_others(column: EncryptedColumn, current: str) -> int:
    return sum(count for name, count in column.counts().items() if name != current)


def _listed(unreadable: list[Unreadable]) -> str:
    lines = [f"{len(unreadable):,} values can't be read:", *(f"  {item}" for item in unreadable[:_MOST_LISTED])]
    if len(unreadable) > _MOST_LISTED:
        lines.append(f"  … and {len(unreadable) - _MOST_LISTED:,} more")
    return "\n".join(lines)


def _standing(use: keys_in_use.KeyUse) -> str:
    if use.key_id == NO_KEY:
        return "values that are damaged, or were never encrypted by this portal"
    if use.given_up:
        return "given up as lost"
    if use.position is None:
        return "NOT in FERNET_KEYS"
    if use.position == 1:
        return "encrypts (first of FERNET_KEYS)"
    return f"number {use.position} of FERNET_KEYS, " + ("not used: can be dropped" if use.can_be_dropped else "still in use")
