"""What a restored database must not take for granted: that nothing happened after the backup was made.

Texts and mails that waited at that moment have gone since. Texts become `checking`, so the provider is asked about
each before it is sent again; mails that were due are not sent a second time.
"""

from datetime import datetime

from app.commands.backups.database import Connection

# Since when it may have been sent: it waited when the backup was made, and did not go before its own time.
_ASK_ABOUT_TEXTS = """
    with asked as (
        update outbox set state = 'checking', run_at = now(), claim_id = null, lease_until = null,
                          answer_settled = false,
                          asked_at = coalesce(asked_at, greatest(%(made_at)s - interval '1 minute', run_at))
        where state = 'sending' or (state = 'waiting' and run_at <= now())
        returning message_id, account_id
    ), noted as (
        insert into message_events (id, account_id, message_id, at, step, outcome, text)
        select gen_random_uuid(), account_id, message_id, now(), 'check', 'lost',
               'Restored from a backup; asking whether it was sent after the backup was made.'
        from asked
    )
    update messages m set state = 'checking' from asked
    where m.id = asked.message_id and m.account_id = asked.account_id
"""
_LEAVE_MAILS = """
    update mails set state = 'failed', body = null, lease_until = null,
                     error = 'It waited when the backup was made that was restored; it may have been sent since.'
    where state in ('waiting', 'sending') and run_at <= now()
"""


def after_restore(connection: Connection, made_at: datetime) -> tuple[int, int]:
    """Gives the numbers of texts that are asked about and of mails that are left alone."""
    with connection.transaction():
        texts = connection.execute(_ASK_ABOUT_TEXTS, {"made_at": made_at}).rowcount
        mails = connection.execute(_LEAVE_MAILS).rowcount
    return texts, mails
