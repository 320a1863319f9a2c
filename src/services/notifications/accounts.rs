//! What the owner of an account reads, or whoever wants to become one.

use super::{Text, escaped};
use crate::domain::job::JobKind;

/// The mail of this kind; with the link that it is about, where it is about one.
pub(super) fn text(kind: JobKind, link: Option<&str>) -> Text {
    let (event, subject, said) = match kind {
        JobKind::SignUpMail => (
            "account.sign_up",
            "Verify your address",
            "Somebody signed up with this address. If it was you, follow this link within 24 hours and give the password that you chose. If not, \
             do nothing: without that password there is no account.",
        ),
        JobKind::KnownAddressMail => (
            "account.known_address",
            "You have an account already",
            "Somebody signed up with this address, which has an account already. If it was you, sign in, or have another password set. If not, do \
             nothing.",
        ),
        JobKind::PasswordResetMail => (
            "account.password_reset",
            "Set another password",
            "Somebody asked for another password of your account. If it was you, follow this link within an hour. You will be signed out \
             everywhere. If not, do nothing.",
        ),
        JobKind::TokenReusedMail => (
            "account.token_reused",
            "You were signed out in one place",
            "A key of one of your sessions was used again after its time, as happens when it was stolen. That session is over. If you do not know \
             why, set another password.",
        ),
        JobKind::InvitationMail => (
            "account.invitation",
            "You are invited",
            "You are invited to work in this shop. Follow this link within seven days and set a password. If you do not know why, do nothing: without \
             a password nobody can sign in.",
        ),
        JobKind::KnownInviteeMail => (
            "account.known_invitee",
            "You were invited, but have an account already",
            "Somebody invited this address to work for a vendor of this shop. It has an account already, which stays as it is: an account is for one \
             thing. Have another address invited if you want to take part.",
        ),
        JobKind::NewEmailMail => (
            "account.new_email",
            "Verify your other address",
            "Your account is to have this address. Follow this link within 24 hours and give your password. If you do not know why, do nothing: without \
             the password of that account nothing changes.",
        ),
        JobKind::EmailChangeMail => (
            "account.email_change",
            "Your account is to have another address",
            "Somebody who knows your password asked that your account have another address. If it was not you, set another password now: you will be \
             signed out everywhere.",
        ),
        JobKind::ManyAttemptsMail
        | JobKind::OrderPaidMail
        | JobKind::AttachOrders
        | JobKind::RefundOrder
        | JobKind::LookAtPayment
        | JobKind::CourierEvent
        | JobKind::BookParcels
        | JobKind::AcceptanceDue
        | JobKind::LookUpParcels
        | JobKind::CorrectTracking => (
            "account.many_attempts",
            "Many wrong passwords",
            "Within a quarter of an hour a hundred wrong passwords were tried on your account. You can sign in as before. If your password is one \
             that others may guess, set another.",
        ),
    };
    let shown = link.map(escaped).unwrap_or_default();
    Text {
        event,
        subject: subject.to_owned(),
        text: format!("{said}\n{}", link.map(|link| format!("\n{link}\n")).unwrap_or_default()),
        html: format!(
            "<!doctype html><html lang=\"en\"><body><p>{said}</p>{}</body></html>",
            link.map(|_| format!("<p><a href=\"{shown}\">{shown}</a></p>")).unwrap_or_default()
        ),
    }
}
