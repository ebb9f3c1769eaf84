"""Who may ask for what in the portal: the table to which the code is held.

A view that is not here fails the test; so does one that lets in anybody else.
"""

from __future__ import annotations

#: Whoever is signed in, and nobody at all (superusers included).
STAFF = frozenset({"staff"})
NOBODY = frozenset({"nobody"})


def either(*permissions: str) -> frozenset[str]:
    """Any of these permissions is enough."""
    return frozenset(permissions)


KEYS = either("access.view_apikey", "access.change_apikey")
ACTIONS = either("executor.view_action", "executor.change_action")
SCHEDULES = either("executor.view_actionschedule", "executor.change_actionschedule")
APPROVALS = either("executor.view_approval", "executor.approve_run")
USERS = either("auth.view_user", "auth.change_user")
GROUPS = either("auth.view_group", "auth.change_group")
SESSIONS = either("usersessions.view_usersession")

#: The portal's views by name, with what lets somebody in.
VIEWS: dict[str, frozenset[str]] = {
    "index": STAFF,
    "password_change": STAFF,
    "password_change_done": STAFF,
    "jsi18n": STAFF,
    "autocomplete": NOBODY,
    "view_on_site": NOBODY,
    "access_apikey_changelist": KEYS,
    "access_apikey_change": KEYS,
    "access_apikey_history": KEYS,
    "access_apikey_add": either("access.add_apikey"),
    "access_apikey_rotate": either("access.add_apikey"),
    "access_apikey_restrict": either("access.change_apikey"),
    "access_apikey_suspend": either("access.change_apikey"),
    "access_apikey_resume": either("access.change_apikey"),
    "access_apikey_revoke": either("access.change_apikey"),
    "access_apikey_delete": NOBODY,
    "audit_audittrace_changelist": either("audit.view_audittrace"),
    "audit_audittrace_change": either("audit.view_audittrace"),
    "audit_audittrace_proof": either("audit.view_audittrace"),
    "audit_audittrace_verify": either("audit.verify_log"),
    "audit_audittrace_verify_progress": either("audit.verify_log"),
    "audit_audittrace_export": either("audit.export_audittrace"),
    "executor_action_changelist": ACTIONS,
    "executor_action_change": ACTIONS,
    "executor_action_history": ACTIONS,
    "executor_action_add": either("executor.add_action"),
    "executor_action_delete": either("executor.delete_action"),
    # Whoever keeps or fires a schedule must be allowed to run actions as well.
    "executor_actionschedule_changelist": SCHEDULES,
    "executor_actionschedule_change": SCHEDULES,
    "executor_actionschedule_history": SCHEDULES,
    "executor_actionschedule_add": either("executor.add_actionschedule"),
    "executor_actionschedule_pause": either("executor.change_actionschedule"),
    "executor_actionschedule_resume": either("executor.change_actionschedule"),
    "executor_actionschedule_run_now": either("executor.run_schedule"),
    "executor_actionschedule_remove": either("executor.delete_actionschedule"),
    "executor_actionschedule_delete": NOBODY,
    "executor_approval_changelist": APPROVALS,
    "executor_approval_change": APPROVALS,
    "executor_approval_decide": either("executor.approve_run"),
    "executor_commandrun_changelist": either("executor.view_commandrun"),
    "executor_commandrun_change": either("executor.view_commandrun"),
    "executor_commandrun_choose": either("executor.run_action"),
    "executor_commandrun_new": either("executor.run_action"),
    "executor_commandrun_live": either("executor.view_commandrun"),
    "executor_commandrun_cancel": either("executor.cancel_commandrun"),
    "executor_commandrun_output": either("executor.view_output"),
    "auth_user_changelist": USERS,
    "auth_user_change": USERS,
    "auth_user_history": USERS,
    "auth_user_add": either("auth.add_user"),
    "auth_user_password_change": either("auth.change_user"),
    "auth_user_delete": NOBODY,
    "auth_group_changelist": GROUPS,
    "auth_group_change": GROUPS,
    "auth_group_history": GROUPS,
    "auth_group_add": either("auth.add_group"),
    "auth_group_delete": either("auth.delete_group"),
    "usersessions_usersession_changelist": SESSIONS,
    "usersessions_usersession_change": SESSIONS,
    "usersessions_usersession_history": SESSIONS,
    "usersessions_usersession_add": NOBODY,
    "usersessions_usersession_delete": NOBODY,
}
#: Views that are there for whoever is signed in or not: they are the door, or lead away.
DOORS = {"login", "logout", "app_list"}

#: What is done with selected rows, with what lets somebody do it.
SELECTED: dict[tuple[str, str], str] = {
    ("access.apikey", "revoke_selected"): "access.change_apikey",
    ("auth.user", "forget_factors"): "auth.change_user",
    ("executor.action", "disable_selected"): "executor.change_action",
    ("executor.action", "enable_selected"): "executor.change_action",
    ("usersessions.usersession", "end_selected"): "usersessions.delete_usersession",
}

#: The API's pages that everybody may read. Everything else there wants a key.
PUBLIC = {"schema", "swagger", "redoc", "health", "prometheus"}
#: A person's own pages: whoever is signed in, and nobody else's things.
OWN = {
    "account_overview",
    "account_change_password",
    "account_end_session",
    "account_logout",
    "account_reauthenticate",
    "account_set_password",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_deactivate_totp",
    "mfa_edit_webauthn",
    "mfa_generate_recovery_codes",
    "mfa_index",
    "mfa_list_webauthn",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
    "mfa_remove_webauthn",
    "mfa_view_recovery_codes",
    "usersessions_list",
}
#: Pages on the way in.
ENTRANCE = {
    "account_inactive",
    "account_login",
    "home",
    "mfa_authenticate",
    "mfa_login_webauthn",
    "openid_connect_callback",
    "openid_connect_login",
    "socialaccount_login_cancelled",
    "socialaccount_login_error",
}
