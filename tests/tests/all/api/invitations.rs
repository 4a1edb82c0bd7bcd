//! Asking people to join.

use domain::{
    auth::invitations,
    entities::{InvitationId, Role},
    payloads::{SendInvitation, SendMail},
};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

use super::{accounts::post, sign_in::sign_in};

const INVITATIONS: &str = "/api/invitations";
const NEW: &str = "novo@example.com";
const PASSWORD: &str = "correct horse";

/// The token of an invitation's link, as its mail has it.
async fn mailed(app: &TestApp, who: &Person, invitation: &Answer) -> Option<String> {
    let job = app.claim::<SendInvitation>().await;
    assert_eq!(job.payload, json!({ "invitation_id": invitation.json["id"] }), "no job has the token");
    let id: InvitationId = serde_json::from_value(invitation.json["id"].clone()).unwrap();
    let letter = invitations::letter(&app.ledger, who.tenant, id).await.unwrap();
    letter.map(|letter| {
        assert_eq!((letter.email.as_str(), letter.tenant.slug.as_str()), (NEW, "loja"));
        letter.token
    })
}

async fn accept(app: &TestApp, token: &str, password: &str) -> Answer {
    post(app, "/api/auth/invitations/accept", json!({ "token": token, "name": "Novo Lima", "password": password })).await
}

async fn invite(app: &TestApp, who: &Person, role: &str) -> Answer {
    app.post(who, INVITATIONS, json!({ "email": "Novo@Example.com", "role": role })).await
}

on_both_databases! {
    async fn somebody_is_asked_and_joins(kind: Kind) {
        let app = app(kind).await;
        let (ana, bob) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        invite(&app, &bob, "agent").await.fails(403, "forbidden");
        app.get(&bob, INVITATIONS).await.fails(403, "forbidden");
        app.post(&ana, INVITATIONS, json!({ "email": "nobody", "role": "agent" })).await.faults(&[("/email", "invalid")]);
        app.post(&ana, INVITATIONS, json!({ "email": bob.email, "role": "agent" })).await.fails(409, "email_taken");
        let invited = invite(&app, &ana, "agent").await.is(201);
        assert_eq!((&invited.json["email"], &invited.json["role"]), (&json!(NEW), &json!("agent")));
        assert_eq!(invited.json["invited_by"], json!(ana.id));
        assert!(!invited.text.contains("token"), "{}", invited.text);
        invite(&app, &ana, "admin").await.fails(409, "already_invited");
        assert_eq!(app.get(&ana, INVITATIONS).await.is(200).json["data"], json!([invited.json]));

        let token = mailed(&app, &ana, &invited).await.unwrap();
        accept(&app, "somo_invite_made-up", PASSWORD).await.faults(&[("/token", "invalid")]);
        accept(&app, &token, "short").await.faults(&[("/password", "invalid")]);
        let (a, b) = tokio::join!(accept(&app, &token, PASSWORD), accept(&app, &token, PASSWORD));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 422], "a link is good once");
        let signed_in = sign_in(&app, NEW, PASSWORD).await.is(200);
        let novo = Person { token: signed_in.json["access_token"].as_str().unwrap().into(), ..bob.clone() };
        let me = app.get(&novo, "/api/me").await.is(200).json;
        assert_eq!((&me["user"]["name"], &me["user"]["role"], &me["tenant"]["slug"]), (&json!("Novo Lima"), &json!("agent"), &json!("loja")));
        assert_eq!(app.get(&ana, INVITATIONS).await.is(200).json["data"], json!([]));
        // They are found as the others are.
        let found = app.get(&ana, "/api/users?q=novo").await.is(200).json;
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
        app.claim::<SendMail>().await; // a new place
        app.finish().await;
    }

    async fn the_newest_link_is_good_and_one_taken_back_is_not(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let invited = invite(&app, &ana, "viewer").await.is(201);
        let path = format!("{INVITATIONS}/{}", invited.id());
        let first = mailed(&app, &ana, &invited).await.unwrap();
        app.execute("update invitations set expires_at = '2020-01-01T00:00:00+00:00'").await;
        accept(&app, &first, PASSWORD).await.faults(&[("/token", "invalid")]);

        app.ask(&eva, &format!("{path}/resend")).await.fails(404, "not_found");
        app.delete(&eva, &path).await.fails(404, "not_found");
        assert_eq!(app.get(&eva, INVITATIONS).await.is(200).json["data"], json!([] as [Value; 0]));

        let again = app.ask(&ana, &format!("{path}/resend")).await.is(200);
        let second = mailed(&app, &ana, &again).await.unwrap();
        accept(&app, &first, PASSWORD).await.faults(&[("/token", "invalid")]);
        let _ = app.ask(&ana, &format!("{path}/resend")).await.is(200);
        let _ = app.delete(&ana, &path).await.is(204);
        assert_eq!(mailed(&app, &ana, &again).await, None, "nothing is mailed any more");
        accept(&app, &second, PASSWORD).await.faults(&[("/token", "invalid")]);
        app.delete(&ana, &path).await.fails(404, "not_found");
        app.ask(&ana, &format!("{path}/resend")).await.fails(404, "not_found");
        app.finish().await;
    }
}
