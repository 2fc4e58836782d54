//! A connection to Redis or Valkey (RESP2), blocking: commands out by the batch, replies in.
//!
//! Written here for its limits: whatever stands in that database, a reply takes no more memory than
//! is said below. What is longer is read to its end and left out.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

/// How long it may take to connect, to answer, and to take what is sent.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Longest value of a reply, and longest line: twice what one tracker hands to another.
const MAX_BYTES: usize = 256 << 10;
const MAX_LINE: u64 = 1 << 10;

/// Most values of an array, and arrays in one another.
const MAX_VALUES: usize = 256;
const MAX_DEPTH: usize = 3;

/// Most values that are read to be left out; after that the connection is given up.
const MAX_LEFT_OUT: i64 = 1 << 20;

const PORT: u16 = 6379;

/// Where it is: `redis://[[user]:password@]host[:port][/database]`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    host: String,
    port: u16,
    user: String,
    password: String,
    database: u32,
}

impl FromStr for RedisAddress {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let rest = url.strip_prefix("redis://");
        let rest = rest.ok_or("it must begin with redis:// (for TLS, put a tunnel before it)")?;
        let (site, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = site.rsplit_once('@').unwrap_or(("", site));
        let (user, password) = who.split_once(':').unwrap_or(("", who));
        let is_port = |port: &str| !port.is_empty() && !port.ends_with(']');
        let (host, port) = match place.rsplit_once(':').filter(|(_, port)| is_port(port)) {
            Some((host, port)) => (host, port.parse().map_err(|_| "its port is no number")?),
            None => (place, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("it names no host");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            password: password.to_owned(),
            database: match database {
                "" => 0,
                number => number.parse().map_err(|_| "its database is no number")?,
            },
        })
    }
}

/// Without its password.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Commands that are sent together.
#[derive(Default)]
pub(super) struct Commands {
    bytes: Vec<u8>,
    count: usize,
}

impl Commands {
    pub(super) fn push(&mut self, words: &[&[u8]]) {
        self.count += 1;
        self.bytes
            .extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.bytes
                .extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }
}

/// What comes back.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Reply {
    Array(Vec<Self>),
    Bytes(Vec<u8>),
    Error(String),
    Integer(i64),
    /// Nothing, a word of no interest, or too much.
    Other,
}

impl Reply {
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The values of an array; of all else none.
    pub(super) fn values(&self) -> &[Self] {
        match self {
            Self::Array(values) => values,
            _ => &[],
        }
    }
}

/// A connection.
pub(super) struct Redis {
    stream: BufReader<TcpStream>,
}

impl Redis {
    pub(super) fn connect(address: &RedisAddress) -> io::Result<Self> {
        let mut found = (address.host.as_str(), address.port).to_socket_addrs()?;
        let first = found
            .next()
            .ok_or_else(|| io::Error::other("its name is nobody's"))?;
        let stream = TcpStream::connect_timeout(&first, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut redis = Self {
            stream: BufReader::new(stream),
        };
        let mut commands = Commands::default();
        let (user, password) = (address.user.as_bytes(), address.password.as_bytes());
        match (user, password) {
            (_, []) => {}
            ([], password) => commands.push(&[b"AUTH", password]),
            (user, password) => commands.push(&[b"AUTH", user, password]),
        }
        if address.database > 0 {
            commands.push(&[b"SELECT", address.database.to_string().as_bytes()]);
        }
        commands.push(&[b"PING"]);
        let refused = |reply| match reply {
            Reply::Error(reason) => Some(reason),
            _ => None,
        };
        match redis.ask(&commands)?.into_iter().find_map(refused) {
            Some(reason) => Err(io::Error::other(reason)),
            None => Ok(redis),
        }
    }

    /// Send commands, and read as many replies.
    pub(super) fn ask(&mut self, commands: &Commands) -> io::Result<Vec<Reply>> {
        self.send(commands)?;
        (0..commands.len()).map(|_| self.read()).collect()
    }

    pub(super) fn send(&mut self, commands: &Commands) -> io::Result<()> {
        self.stream.get_mut().write_all(&commands.bytes)
    }

    /// The next reply, or the next message of a channel.
    pub(super) fn read(&mut self) -> io::Result<Reply> {
        read(&mut self.stream, MAX_DEPTH)
    }

    /// Whether a reply begins within [`PATIENCE`].
    pub(super) fn await_reply(&mut self) -> io::Result<bool> {
        match self.stream.fill_buf() {
            Ok([]) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn read(from: &mut impl io::BufRead, depth: usize) -> io::Result<Reply> {
    let mut line = Vec::new();
    from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\r\n");
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let (kind, rest) = line
        .and_then(|line| line.split_at_checked(1))
        .ok_or(ErrorKind::InvalidData)?;
    let number = || rest.parse::<i64>().map_err(|_| ErrorKind::InvalidData);
    match kind {
        "+" => Ok(Reply::Other),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Integer(number()?)),
        "$" => match number()? {
            ..0 => Ok(Reply::Other),
            length => read_bytes(from, length as u64),
        },
        "*" => match number()? {
            ..0 => Ok(Reply::Other),
            count if depth > 0 && count <= MAX_LEFT_OUT => read_array(from, count, depth - 1),
            _ => Err(ErrorKind::InvalidData.into()),
        },
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

fn read_bytes(from: &mut impl io::BufRead, length: u64) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    let is_short = length <= MAX_BYTES as u64;
    let mut value = from.by_ref().take(length);
    let read = match is_short {
        true => value.read_to_end(&mut bytes)? as u64,
        false => io::copy(&mut value, &mut io::sink())?,
    };
    let mut end = [0; 2];
    from.read_exact(&mut end)?;
    match (read == length && end == *b"\r\n", is_short) {
        (true, true) => Ok(Reply::Bytes(bytes)),
        (true, false) => Ok(Reply::Other),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

fn read_array(from: &mut impl io::BufRead, count: i64, depth: usize) -> io::Result<Reply> {
    let mut values = Vec::new();
    for _ in 0..count {
        let value = read(from, depth)?;
        if values.len() < MAX_VALUES {
            values.push(value);
        }
    }
    Ok(Reply::Array(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(mut bytes: &[u8]) -> Option<Reply> {
        read(&mut bytes, MAX_DEPTH).ok()
    }

    #[test]
    fn replies_are_read_and_what_is_too_long_is_left_out() {
        let bytes = |text: &str| Reply::Bytes(text.into());
        assert_eq!(parse(b"+OK\r\n"), Some(Reply::Other));
        assert_eq!(parse(b"$-1\r\n"), Some(Reply::Other));
        assert_eq!(parse(b":-7\r\n"), Some(Reply::Integer(-7)));
        assert_eq!(
            parse(b"-WRONGTYPE x\r\n"),
            Some(Reply::Error("WRONGTYPE x".into()))
        );
        let array = Reply::Array(vec![bytes("a"), Reply::Array(vec![bytes("")])]);
        assert_eq!(parse(b"*2\r\n$1\r\na\r\n*1\r\n$0\r\n\r\n"), Some(array));
        let long = [b"$300000\r\n".as_slice(), &[b'x'; 300_000], b"\r\n:1\r\n"].concat();
        let mut rest = long.as_slice();
        assert_eq!(read(&mut rest, 1).ok(), Some(Reply::Other));
        assert_eq!(read(&mut rest, 1).ok(), Some(Reply::Integer(1)));
        let many = format!("*1000\r\n{}", ":1\r\n".repeat(1000));
        assert_eq!(parse(many.as_bytes()).unwrap().values().len(), MAX_VALUES);
    }

    #[test]
    fn nonsense_is_an_error_and_takes_no_memory() {
        for text in [
            "",
            "\r\n",
            "x\r\n",
            "$9\r\nshort\r\n",
            "$3\r\nabcde",
            ":x\r\n",
            "$x\r\n",
            "*99999999999\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
            "$9223372036854775807\r\nx",
            "+no end",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn addresses_are_what_people_write() {
        let of = |url: &str| {
            let address: RedisAddress = url.parse()?;
            Ok::<_, &str>((address.to_string(), address.user, address.password))
        };
        let expected = |shown: &str, user: &str, password: &str| {
            Ok((shown.to_owned(), user.to_owned(), password.to_owned()))
        };
        assert_eq!(of("redis://h"), expected("h:6379/0", "", ""));
        assert_eq!(of("redis://:p@h:1/2"), expected("h:1/2", "", "p"));
        assert_eq!(of("redis://u:p@[::1]:1"), expected("::1:1/0", "u", "p"));
        assert_eq!(of("redis://[::1]"), expected("::1:6379/0", "", ""));
        for url in ["h", "rediss://h", "redis://", "redis://h:x", "redis://h/x"] {
            assert!(of(url).is_err(), "{url}");
        }
    }
}
