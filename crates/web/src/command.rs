//! `POST /CLI/`: one command of the command language, as the field `command` of a form or as the
//! whole body (`text/plain`). The answer is the line that PWD sends after INLINE.
//!
//! A browser that somebody lured to another site sends his name and password along; it also says
//! where the request comes from, and such a request is not obeyed. That is why there is no GET.

use angarium_access::cli::CliAnswer;
use angarium_accounts::{Actor, Login, LoginError, Secret, Service};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Method, Request, StatusCode};

use super::authorization::basic;
use super::form;
use super::serve::{Asked, Connection, plain};

/// Longest body: a command line of 1 MiB with every byte written as three.
pub(crate) const MAX_BODY: usize = 3 * 1024 * 1024 + 64;
/// Longest command line, in bytes.
const MAX_LINE: usize = 1024 * 1024;
/// Seconds after which one who was sent away may come back.
const LATER: &str = "60";

/// Serves one request for `/CLI/`.
pub(crate) async fn answer<B>(connection: &Connection, request: Request<B>) -> Asked
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "send the command with POST")
            .with(ALLOW, "POST");
    }
    if is_foreign(request.headers()) {
        return plain(StatusCode::FORBIDDEN, "requests of other sites are not obeyed");
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let as_form = match kind.as_str() {
        "application/x-www-form-urlencoded" | "" => true,
        "text/plain" => false,
        _ => {
            let text = "a form with the field command, or text/plain, is expected";
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
    };
    // Who asks comes first: nobody else is listened to.
    let actor = match log_in(connection, request.headers()).await {
        Ok(actor) => actor,
        Err(refusal) => return refusal,
    };
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let Ok(body) = tokio::time::timeout(connection.body_time(), body).await else {
        return plain(StatusCode::REQUEST_TIMEOUT, "the command took too long to come");
    };
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the command is too long"),
    };
    let line = if as_form { form::field(&body, "command") } else { Some(body.to_vec()) };
    let Some(line) = line.map(|line| line.trim_ascii().to_vec()).filter(|line| !line.is_empty())
    else {
        return plain(StatusCode::BAD_REQUEST, "the field command is expected");
    };
    if line.len() > MAX_LINE {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the command is too long");
    }
    if line.contains(&b'\n') || line.contains(&b'\r') {
        return plain(StatusCode::BAD_REQUEST, "one command on one line is expected");
    }
    execute(connection, &actor, &line).await
}

async fn execute(connection: &Connection, actor: &Actor, line: &[u8]) -> Asked {
    // Only the word is logged: parameters may be passwords.
    let word = line.split(|byte| *byte == b' ').next().unwrap_or(line);
    let word = String::from_utf8_lossy(word.get(..32).unwrap_or(word)).into_owned();
    let answer = connection.cli().execute(actor, line).await;
    let account = actor.full_name();
    let code = answer.code();
    tracing::debug!(target: "HTTPA", session = %connection.tag(), %account, command = %word, code);
    let code = if matches!(answer, CliAnswer::Data(_)) { 201 } else { code };
    plain(StatusCode::OK, &format!("{code} {}", answer.text()))
}

/// True for a request that another site made a browser send.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = text(&HOST);
    !origin.is_some_and(|(_, from)| host.is_some_and(|host| host.eq_ignore_ascii_case(from)))
}

async fn log_in(
    connection: &Connection,
    headers: &HeaderMap,
) -> Result<std::sync::Arc<Actor>, Asked> {
    let accounts = connection.cli().accounts();
    let (peer, tls) = (connection.peer(), connection.is_tls());
    // Where a password may not be sent it is not asked for.
    let clear = connection.clear_text() || {
        let allowed = accounts.clear_text_allowed(Some(peer), tls).await;
        allowed.map_err(|_| plain(StatusCode::SERVICE_UNAVAILABLE, "try again later"))?
    };
    if !clear {
        return Err(plain(StatusCode::FORBIDDEN, "passwords are taken over TLS only"));
    }
    let given = headers.get(AUTHORIZATION).and_then(|field| basic(field.as_bytes()));
    let Some(given) = given else { return Err(who(connection, "log in")) };
    let login = Login {
        name: given.name,
        password: Secret::new(given.password),
        local_ip: Some(connection.local()),
        peer_ip: Some(peer),
        service: Service::Http,
        tls,
    };
    let error = match Box::pin(accounts.login(login)).await {
        Ok(actor) => {
            connection.entered(&actor);
            return Ok(actor);
        }
        Err(error) => error,
    };
    tracing::info!(target: "HTTPA", session = %connection.tag(), %error, "login failed");
    let text = error.to_string();
    Err(match error {
        LoginError::TooMany => plain(StatusCode::TOO_MANY_REQUESTS, &text).with(RETRY_AFTER, LATER),
        LoginError::Unavailable => {
            plain(StatusCode::SERVICE_UNAVAILABLE, &text).with(RETRY_AFTER, LATER)
        }
        LoginError::ServiceDisabled
        | LoginError::SecureMethodRequired
        | LoginError::MethodNotAllowed => plain(StatusCode::FORBIDDEN, &text),
        _ => who(connection, &text),
    })
}

fn who(connection: &Connection, text: &str) -> Asked {
    let realm = format!("Basic realm=\"{}\", charset=\"UTF-8\"", connection.realm());
    plain(StatusCode::UNAUTHORIZED, text).with(WWW_AUTHENTICATE, &realm)
}
