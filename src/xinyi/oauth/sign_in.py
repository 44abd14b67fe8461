"""How a subject signs in to the sandbox: as one of its personas. Elsewhere ``upstream`` leads to a provider."""

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from ..kernel.errors import Code, XinyiError
from ..kernel.text import Text
from ..sandbox.personas import Persona, personas
from ..storage.database import Database
from ..subjects.model import SubjectKind
from ..subjects.service import SubjectService
from ..web.pages import page
from ..web.session import Sessions, SubjectSession

PURPOSE = "sign-in"


class SandboxSignIn:
    """Made-up subjects to choose from. Exists in the sandbox alone."""

    def __init__(self, database: Database, subjects: SubjectService, sessions: Sessions) -> None:
        self._database = database
        self._subjects = subjects
        self._sessions = sessions
        self._personas = {persona.id: persona for persona in personas()}

    def show(
        self,
        request: Request[Any, Any, Any],
        browser: str,
        *,
        next_path: str,
        kind: SubjectKind | None = None,
        refusal: dict[str, str] | None = None,
        form_targets: Sequence[str] = (),
    ) -> Response[Any]:
        """The page that lists the personas, of one kind if ``kind`` says so.

        ``next_path``: where to go on. ``refusal``: the fields of a form that refuses without signing in.
        """
        return page(
            request,
            "oauth/sign_in.html",
            form_targets=form_targets,
            personas=[persona for persona in self._personas.values() if kind in {None, persona.kind}],
            csrf=self._sessions.csrf(browser, PURPOSE),
            next_path=next_path,
            refusal=refusal,
        )

    async def enter(self, persona_id: str) -> tuple[SubjectSession, Cookie]:
        """Signs in as a persona. Raises ``XinyiError(NOT_FOUND)``."""
        persona = self._personas.get(persona_id)
        if persona is None:
            raise XinyiError(Code.NOT_FOUND, "there is no such persona")
        representative = self._personas.get(persona.represented_by or "")
        wanted = [each.identifier for each in (persona, representative) if each is not None]
        async with self._database.transaction() as tx:
            ids = await self._subjects.ensure_many(tx, wanted)
            await self._subjects.remember_email(tx, ids[persona.identifier], persona.email)
        return await self._sessions.create(
            subject_id=ids[persona.identifier],
            kind=persona.kind.value,
            display_name=_display_name(persona, representative),
            representative_id=None if representative is None else ids[representative.identifier],
        )


def _display_name(persona: Persona, representative: Persona | None) -> Text:
    if representative is None:
        return persona.name
    return Text(
        f"{persona.name.zh}（由{representative.name.zh}代表）",
        f"{persona.name.en} (represented by {representative.name.en})",
    )
