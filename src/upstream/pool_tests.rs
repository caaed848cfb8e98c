// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which idle connection is handed out, to whom, and what the pool learns. Time is an argument; nothing sleeps.

use std::future::Future;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::runtime::{Builder, LocalOptions};

use super::super::connection::Connection;
use super::super::origin::{Step, start};
use super::super::transport::Transport;
use super::{Buffers, Pool, PoolLimits, Reuse};
use crate::clock::{self, Deadlines};

const HOLD: &[Step] = &[Step::Hold];
const CLOSE: &[Step] = &[];
const SPEAK: &[Step] = &[Step::Say("HTTP/1.1 408 Request Timeout\r\n\r\n"), Step::Hold];

struct Fixture {
    pool: Rc<Pool>,
    start: Instant,
}

impl Fixture {
    fn new(connections: &'static [&'static [Step]]) -> Self {
        let start_at = clock::now();
        let limits = PoolLimits { idle_max: 2, idle_age: Duration::from_secs(60) };
        let transport = Arc::new(Transport::plain(limits));
        let pool = Pool::new("e1".into(), start(connections), transport, Deadlines::new(start_at), Buffers::default());
        Self { pool, start: start_at }
    }

    async fn connect(&self) -> Connection {
        self.pool.connect(Duration::from_secs(3600)).await.expect("the origin listens")
    }

    /// Leaves so many idle connections, parked at the start.
    async fn park(&self, count: usize, stated: Option<Duration>) {
        let mut in_use = Vec::new();
        for _ in 0..count {
            in_use.push(self.connect().await);
        }
        in_use.into_iter().for_each(|connection| connection.finish(true, stated));
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = Builder::new_current_thread();
    builder.enable_io().build_local(LocalOptions::default()).expect("a runtime").block_on(test)
}

fn port(connection: &Connection) -> u16 {
    connection.socket.stream.tcp().local_addr().expect("it is connected").port()
}

/// One idle connection of an age, asked for: whether it is handed out, and how many are idle after that.
fn check(name: &str, stated: Option<u64>, age_ms: u64, reuse: Reuse, want: (bool, usize)) {
    run(async {
        let fixture = Fixture::new(&[HOLD]);
        fixture.park(1, stated.map(Duration::from_secs)).await;
        let got = fixture.pool.checkout(fixture.at(age_ms), reuse);
        assert_eq!((got.is_some(), fixture.pool.idle()), want, "{name}");
        assert!(got.is_none_or(|connection| connection.is_kept()), "{name}");
    });
}

#[test]
fn age_decides() {
    check("young enough for all", None, 900, Reuse::Young, (true, 0));
    check("too old to be safe, so it stays for others", None, 1_000, Reuse::Young, (false, 1));
    check("old", None, 59_999, Reuse::Any, (true, 0));
    check("too old", None, 60_000, Reuse::Any, (false, 0));
    check("the endpoint's own limit", Some(4), 3_999, Reuse::Any, (true, 0));
    check("over the endpoint's own limit", Some(4), 4_000, Reuse::Any, (false, 0));
    check("a quarter of the endpoint's limit", Some(40), 9_999, Reuse::Young, (true, 0));
    check("over a quarter", Some(40), 10_000, Reuse::Young, (false, 1));
    check("a longer limit does not lift ours", Some(600), 60_000, Reuse::Any, (false, 0));
}

#[test]
fn the_last_used_comes_first_and_the_list_is_bounded() {
    run(async {
        let fixture = Fixture::new(&[HOLD, HOLD, HOLD]);
        let (first, second, third) = (fixture.connect().await, fixture.connect().await, fixture.connect().await);
        let last = port(&second);
        assert_eq!(fixture.pool.open(), 3);
        first.finish(true, None);
        second.finish(true, None);
        third.finish(true, None);
        assert_eq!((fixture.pool.idle(), fixture.pool.open()), (2, 2));
        let got = fixture.pool.checkout(fixture.at(0), Reuse::Any).expect("one is idle");
        assert_eq!(port(&got), last);
    });
}

#[test]
fn a_close_is_noticed_and_learnt_from() {
    run(async {
        let fixture = Fixture::new(&[CLOSE, HOLD]);
        fixture.park(1, None).await;
        while fixture.pool.idle() > 0 {
            tokio::task::yield_now().await;
            fixture.pool.close_idle(fixture.at(8_000));
        }
        fixture.park(1, None).await;
        assert_eq!(fixture.pool.known_limit(fixture.at(8_000)), Some(Duration::from_secs(7)));
        assert!(fixture.pool.checkout(fixture.at(7_000), Reuse::Any).is_none());
        assert_eq!(fixture.pool.known_limit(fixture.at(400_000)), None, "it is forgotten in time");
    });
}

#[test]
fn a_restart_teaches_nothing() {
    run(async {
        let fixture = Fixture::new(&[CLOSE]);
        fixture.park(1, None).await;
        while let Some(alive) = fixture.pool.checkout(fixture.at(500), Reuse::Young) {
            alive.finish(true, None);
        }
        assert_eq!(fixture.pool.known_limit(fixture.at(500)), None);
    });
}

#[test]
fn a_request_that_must_not_run_twice_looks_at_the_socket_itself() {
    run(async {
        let fixture = Fixture::new(&[CLOSE]);
        let connection = fixture.connect().await;
        // The close has arrived, but nothing has made the runtime look at epoll since.
        while !SockRef::from(connection.socket.stream.tcp())
            .peek(&mut [MaybeUninit::uninit()])
            .is_ok_and(|len| len == 0)
        {
            std::thread::yield_now();
        }
        connection.finish(true, None);
        assert!(fixture.pool.checkout(fixture.at(0), Reuse::Young).is_none());
    });
}

#[test]
fn a_connection_that_speaks_unasked_is_closed() {
    run(async {
        let fixture = Fixture::new(&[SPEAK]);
        fixture.park(1, None).await;
        while fixture.pool.idle() > 0 {
            tokio::task::yield_now().await;
            fixture.pool.close_idle(fixture.at(100));
        }
        assert_eq!(fixture.pool.open(), 0);
    });
}

#[test]
fn close_all_takes_in_those_in_use() {
    run(async {
        let fixture = Fixture::new(&[HOLD, HOLD, HOLD]);
        let in_use = fixture.connect().await;
        fixture.park(1, None).await;
        fixture.pool.close_all();
        in_use.finish(true, None);
        assert_eq!((fixture.pool.idle(), fixture.pool.open()), (0, 0));
        fixture.park(1, None).await;
        assert_eq!(fixture.pool.idle(), 1, "the pool itself goes on");
    });
}

#[test]
fn a_refused_connection_says_so() {
    run(async {
        let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let deadlines = Deadlines::new(clock::now());
        let address = closed.expect("a free port");
        let pool = Pool::new("e1".into(), address, Arc::default(), deadlines, Buffers::default());
        let fault = pool.connect(Duration::from_secs(1)).await.expect_err("nothing listens");
        let want = "endpoint e1 refused or failed the connection: connection refused: nothing listens at that address";
        assert!(fault.to_string().starts_with(want), "{fault}");
        assert_eq!(pool.open(), 0);
    });
}
