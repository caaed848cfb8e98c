// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console's way to the daemon, in a task of its own: carries out questions, holds the event stream, and when the
//! daemon is gone tries again from 100 ms up to 2 s, for as long as the console lives.
//!
//! Every question gets an answer, be it that nobody answered, so that nothing on the screen waits for ever.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::Method;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender};
use weirgate_store::wire::{CanaryRequest, ErrorReply, KeyList};

use crate::client::{Client, ClientError, EventStream, segment};
use crate::event::{Answer, Ask, Event};

/// First and longest pause between two tries to connect.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);
pub const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Questions under way at once; more wait in their queue.
pub const ASKS_MAX: usize = 16;

/// Events on their way to the console. A console that does not keep up slows its stream down, and the daemon then
/// leaves exchanges out and says how many.
pub const EVENTS_QUEUED: usize = 1_024;

/// Orders on their way to the link.
pub const ORDERS_QUEUED: usize = 256;

/// What the console wants of the link.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Ask(Ask),
    Follow { exchanges: bool },
}

/// Runs until the console is gone.
pub async fn run(socket: PathBuf, mut orders: Receiver<Order>, events: Sender<Event>) {
    let client = Client::of_console(socket);
    let mut link = Link { client, asks: FuturesUnordered::new(), exchanges: false, up: false, pause: PAUSE_MIN };
    loop {
        let opened = link.open(&mut orders, &events).await;
        let reason = match opened {
            Opened::Stream(mut stream) => match link.follow(&mut stream, &mut orders, &events).await {
                Ended::Resubscribe => continue,
                Ended::Lost(reason) => reason,
                Ended::Console => return,
            },
            Opened::Failed(reason) => reason,
            Opened::Console => return,
        };
        link.up = false;
        if events.send(Event::Lost { reason }).await.is_err() || !link.wait(&mut orders, &events).await {
            return;
        }
    }
}

struct Link {
    client: Client,
    asks: FuturesUnordered<BoxFuture<'static, Event>>,
    exchanges: bool,
    /// Whether the console has been told that the daemon answers.
    up: bool,
    pause: Duration,
}

enum Opened {
    Stream(Box<EventStream>),
    Failed(String),
    /// The console is gone.
    Console,
}

enum Ended {
    Resubscribe,
    Lost(String),
    Console,
}

impl Link {
    async fn open(&mut self, orders: &mut Receiver<Order>, events: &Sender<Event>) -> Opened {
        let topics =
            if self.exchanges { "traffic,health,revision,audit,exchanges" } else { "traffic,health,revision,audit" };
        let client = self.client.clone();
        let path = format!("/v1/events?topics={topics}");
        let opening = client.events(&path);
        tokio::pin!(opening);
        loop {
            tokio::select! {
                opened = &mut opening => return match opened {
                    Ok(stream) => Opened::Stream(Box::new(stream)),
                    Err(error) => Opened::Failed(short(&error)),
                },
                order = orders.recv(), if self.asks.len() < ASKS_MAX => match order {
                    Some(order) => self.take(order),
                    None => return Opened::Console,
                },
                Some(answer) = self.asks.next() => if events.send(answer).await.is_err() { return Opened::Console },
            }
        }
    }

    async fn follow(
        &mut self,
        stream: &mut EventStream,
        orders: &mut Receiver<Order>,
        events: &Sender<Event>,
    ) -> Ended {
        self.pause = PAUSE_MIN;
        if !std::mem::replace(&mut self.up, true) && events.send(Event::Connected).await.is_err() {
            return Ended::Console;
        }
        let followed = self.exchanges;
        loop {
            let event = tokio::select! {
                event = stream.next() => match event {
                    Some(Ok(event)) => Event::Stream(Box::new(event)),
                    // An event of a newer daemon is not a reason to stop listening.
                    Some(Err(ClientError::NotUnderstood(_))) => continue,
                    Some(Err(error)) => return Ended::Lost(short(&error)),
                    None => return Ended::Lost("the daemon closed the connection".to_owned()),
                },
                order = orders.recv(), if self.asks.len() < ASKS_MAX => match order {
                    Some(order) => {
                        self.take(order);
                        if self.exchanges != followed {
                            return Ended::Resubscribe;
                        }
                        continue;
                    }
                    None => return Ended::Console,
                },
                Some(answer) = self.asks.next() => answer,
            };
            if events.send(event).await.is_err() {
                return Ended::Console;
            }
        }
    }

    /// Pauses before the next try, and keeps answering meanwhile. False once the console is gone.
    async fn wait(&mut self, orders: &mut Receiver<Order>, events: &Sender<Event>) -> bool {
        let pause = tokio::time::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return true,
                order = orders.recv(), if self.asks.len() < ASKS_MAX => match order {
                    Some(order) => self.take(order),
                    None => return false,
                },
                Some(answer) = self.asks.next() => if events.send(answer).await.is_err() { return false },
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Ask(ask) => {
                let client = self.client.clone();
                self.asks.push(Box::pin(async move {
                    let outcome = answer(&client, &ask).await.map_err(refusal);
                    Event::Answered { ask, outcome }
                }));
            }
            Order::Follow { exchanges } => self.exchanges = exchanges,
        }
    }
}

/// One question as one call.
async fn answer(client: &Client, ask: &Ask) -> Result<Answer, ClientError> {
    let post = Method::POST;
    Ok(match ask {
        Ask::Status => Answer::Status(client.get("/v1/status").await?),
        Ask::List(kind) => Answer::List(client.get(&format!("/v1/{}", kind.plural())).await?),
        Ask::Revisions => Answer::Revisions(client.get("/v1/revisions").await?),
        Ask::Diff { older, newer } => {
            Answer::Checked(client.get(&format!("/v1/revisions/{older}/diff/{newer}")).await?)
        }
        Ask::Check { change, .. } => Answer::Checked(client.send(post, "/v1/change?dry_run=true", Some(change)).await?),
        Ask::Apply { change, .. } => Answer::Applied(client.send(post, "/v1/change", Some(change)).await?),
        Ask::Override { upstream, address, request, .. } => {
            let path = format!("/v1/upstreams/{}/endpoints/{}/override", segment(upstream), segment(address));
            Answer::Endpoint(client.send(Method::PUT, &path, Some(request)).await?)
        }
        Ask::Keys { consumer } => Answer::Keys(client.get::<KeyList>(&keys(consumer)).await?),
        Ask::IssueKey { consumer, comment, expires, .. } => {
            let mut body = json!({ "comment": comment });
            if let (Some(expires), Some(map)) = (expires, body.as_object_mut()) {
                map.insert("expires".to_owned(), json!(expires));
            }
            Answer::Issued(client.send(post, &keys(consumer), Some(&body)).await?)
        }
        Ask::RevokeKey { consumer, id } => {
            let path = format!("{}/{}", keys(consumer), segment(id));
            client.send::<serde_json::Value, ()>(Method::DELETE, &path, None).await?;
            Answer::Revoked
        }
        Ask::Explain(request) => Answer::Explained(client.send(post, "/v1/explain", Some(request)).await?),
        Ask::Connections { listener, upstream } => {
            Answer::Connections(client.get(&connections(listener.as_deref(), upstream.as_deref())).await?)
        }
        Ask::Kill { id } => {
            // What it says of the connection it closed is not shown: the list is asked for again.
            let path = format!("/v1/connections/{id}");
            client.send::<serde_json::Value, ()>(Method::DELETE, &path, None).await?;
            Answer::Killed
        }
        Ask::Timeline { upstream } => {
            Answer::Timeline(client.get(&format!("/v1/upstreams/{}/timeline", segment(upstream))).await?)
        }
        Ask::Canary { route, verb } => {
            let path = format!("/v1/routes/{}/canary", segment(route));
            client.send::<serde_json::Value, _>(post, &path, Some(&CanaryRequest { verb: *verb })).await?;
            Answer::Canary
        }
        Ask::Usage { consumer } => {
            let path = format!("/v1/usage?since=1h&step=60&consumer={}", segment(consumer));
            Answer::Usage(client.get(&path).await?)
        }
    })
}

fn connections(listener: Option<&str>, upstream: Option<&str>) -> String {
    let named = [("listener", listener), ("upstream", upstream)];
    let named = named.into_iter().filter_map(|(kind, name)| Some(format!("{kind}={}", segment(name?))));
    match named.collect::<Vec<_>>().join("&") {
        query if query.is_empty() => "/v1/connections".to_owned(),
        query => format!("/v1/connections?{query}"),
    }
}

fn keys(consumer: &str) -> String {
    format!("/v1/consumers/{}/keys", segment(consumer))
}

/// What the daemon refused, or why it could not be asked.
fn refusal(error: ClientError) -> ErrorReply {
    match error {
        ClientError::Refused(reply) if reply.detail.is_empty() => ErrorReply { detail: reply.title.clone(), ..*reply },
        ClientError::Refused(reply) => *reply,
        other => {
            ErrorReply { status: 0, title: "no answer".to_owned(), detail: other.to_string(), problems: Vec::new() }
        }
    }
}

/// The reason in a few words, for the banner; the long sentence is for the command line.
fn short(error: &ClientError) -> String {
    match error {
        ClientError::NotRunning(socket) => format!("nothing listens at {}", socket.display()),
        ClientError::Denied(socket) => format!("permission denied at {}: join group weirgate", socket.display()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
