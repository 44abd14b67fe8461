"""How a subject signs in: as one of the sandbox's personas, or not at all until a provider is configured."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from ..kernel.errors import Code, XinyiError
from ..kernel.text import Text
from ..sandbox.personas import Persona, personas
from ..storage.database import Database
from ..subjects.model import SubjectKind
from ..subjects.service import SubjectService
from ..web.pages import outcome_page, page
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


class NoSignIn:
    """Outside the sandbox, as long as no provider is configured."""

    def show(self, request: Request[Any, Any, Any], _browser: str, **_options: object) -> Response[Any]:
        """A page that says so."""
        return outcome_page(
            request,
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            title=Text("登录尚未开通", "Sign-in isn't configured"),
            note=Text(
                "本系统尚未接入身份认证服务，暂时无法登录。您可以返回原页面，按其说明选择其他方式办理。",
                "No identity provider is connected to this system yet, so nobody can sign in. "
                "Go back to where you came from and take the other way that is offered there.",
            ),
        )


def _display_name(persona: Persona, representative: Persona | None) -> Text:
    if representative is None:
        return persona.name
    return Text(
        f"{persona.name.zh}（由{representative.name.zh}代表）",
        f"{persona.name.en} (represented by {representative.name.en})",
    )
