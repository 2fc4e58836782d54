//! What becomes of a request on a socket: a page at once, a page when it is known what others have,
//! or a WebSocket.

use std::time::Instant;

use super::Shared;
use super::cluster::Caller;
use super::plain::Question;
use super::socket::{Socket, State};
use super::web::{self, Answer, Page, Request};

/// Reply to a request; whether the socket is a WebSocket from here on.
pub(super) fn reply(
    shared: &Shared,
    socket: &mut Socket,
    now: Instant,
    request: &Request<'_>,
) -> bool {
    let client = web::client_of(shared, socket.seen, request.fields);
    let caller = Caller {
        key: socket.key,
        is_last: request.is_last || web::is_closing(request.fields),
    };
    let page = match web::answer(shared, request, client) {
        Answer::Page(page) => page,
        Answer::Question(question) => match ask(shared, caller, question) {
            Some(page) => page,
            None => {
                socket.state = State::Asked;
                return false;
            }
        },
        Answer::Upgrade(accept) if shared.admit(client) => {
            socket.counted = Some(client);
            web::write_upgrade(socket.outbox(), &accept);
            socket.opened(now, &shared.config);
            return true;
        }
        Answer::Upgrade(_) => Page::too_many(),
    };
    write(shared, socket, now, caller, &page);
    false
}

/// The page, unless the cluster was asked for it.
fn ask(shared: &Shared, caller: Caller, question: Question) -> Option<Page> {
    let left = match &shared.cluster {
        Some(cluster) => cluster.take(caller, question).err()?,
        None => question,
    };
    Some(Page::answer(left.answer_alone(shared)))
}

/// Send the page that a socket waits for; false if it no longer does.
pub(super) fn send(
    shared: &Shared,
    socket: &mut Socket,
    now: Instant,
    caller: Caller,
    page: &Page,
) -> bool {
    let is_awaited = socket.state == State::Asked;
    if is_awaited {
        write(shared, socket, now, caller, page);
    }
    is_awaited
}

fn write(shared: &Shared, socket: &mut Socket, now: Instant, caller: Caller, page: &Page) {
    let is_last = caller.is_last || page.status >= 400;
    page.write(socket.outbox(), is_last);
    match is_last {
        true => socket.hang_up(0),
        false => socket.await_head(now, &shared.config),
    }
}
