//! A token service: tokens that live for a number of requests, so that no test depends on the time.

use std::collections::HashMap;

use crate::message::Message;

/// Where the service is asked for tokens.
const REALM: &str = "/token";

/// Lets through who has a token that lives.
pub struct Gate {
    /// How many requests a token is good for.
    life: u32,
    /// What is left of each token.
    tokens: HashMap<String, u32>,
    /// How many tokens were given.
    pub given: u32,
    /// How many requests came with a token after one with it had been refused.
    pub dead_reused: u32,
    refused: Vec<String>,
}

impl Gate {
    /// One whose tokens live for `life` requests.
    pub fn new(life: u32) -> Self {
        Self { life, tokens: HashMap::new(), given: 0, dead_reused: 0, refused: Vec::new() }
    }

    /// The answer to a request that does not go through.
    pub fn check(&mut self, request: &Message) -> Option<Message> {
        if request.path().starts_with(REALM) {
            self.given += 1;
            let token = format!("token-{}", self.given);
            self.tokens.insert(token.clone(), self.life);
            return Some(Message::answer("200 OK", &[], &format!(r#"{{"token":"{token}"}}"#)));
        }
        let token = request.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        if let Some(left) = token.and_then(|it| self.tokens.get_mut(it)).filter(|it| **it > 0) {
            *left -= 1;
            return None;
        }
        if let Some(token) = token {
            // Requests that were on their way together may all have it.
            self.dead_reused += u32::from(self.refused.iter().any(|it| it == token));
            self.refused.push(token.to_owned());
        }
        let realm = format!("http://{}{REALM}", request.header("host").unwrap_or_default());
        let challenge = format!(r#"Bearer realm="{realm}",service="test""#);
        Some(Message::answer("401 Unauthorized", &[("www-authenticate", &challenge)], "{}"))
    }
}
