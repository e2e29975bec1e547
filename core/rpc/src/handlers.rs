//! Which handler a method has (rows N05, N10, N38).
//!
//! In go methods and the user's handlers, for one connection, for all that came by one listener,
//! for all that named one route, or for all; out comes the handler that is nearest. Plain data:
//! what a handler is, and when it is called, is the user's business. A change counts from the next
//! look-up on, so for the next request; those that have been looked up keep what they got.
#![deny(clippy::arithmetic_side_effects)]

use crate::method::{Method, MethodRef};
use crate::node::{ConnId, Via};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// For whom a handler is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// For one connection: the nearest.
    Conn(ConnId),
    /// For connections that came by this listener, of plain TCP, TLS or UDP; over TRiP it is
    /// [`Self::Route`] that tells one from another.
    Listener(u64),
    /// For connections over TRiP that named this route.
    Route(Vec<u8>),
    /// For all.
    All,
}

/// Handlers by scope and method.
///
/// ```
/// use tripline_rpc::{Handlers, Method, Scope};
/// let mut handlers = Handlers::default();
/// handlers.on(Scope::All, "shop.buy", "the shop");
/// handlers.on(Scope::Route(b"admin".to_vec()), "shop.close", "the owner");
/// assert_eq!(handlers.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Handlers<H> {
    scopes: BTreeMap<Scope, BTreeMap<Method, H>>,
}

impl<H> Default for Handlers<H> {
    fn default() -> Self {
        Self { scopes: BTreeMap::new() }
    }
}

impl<H> Handlers<H> {
    /// Puts a handler in the place of the one before, which is handed back.
    pub fn on<'a>(
        &mut self,
        scope: Scope,
        method: impl Into<MethodRef<'a>>,
        handler: H,
    ) -> Option<H> {
        self.scopes.entry(scope).or_default().insert(method.into().to_method(), handler)
    }

    /// Takes a handler away.
    pub fn off<'a>(&mut self, scope: &Scope, method: impl Into<MethodRef<'a>>) -> Option<H> {
        let table = self.scopes.get_mut(scope)?;
        let handler = table.remove(&method.into().to_method());
        if table.is_empty() {
            self.scopes.remove(scope);
        }
        handler
    }

    /// Takes all handlers of a scope away: those of a connection, with its last event.
    pub fn clear(&mut self, scope: &Scope) {
        self.scopes.remove(scope);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scopes.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The handler of a method for a connection that came this way; who has none is to be refused
    /// with [`Refusal::NoMethod`](crate::Refusal::NoMethod).
    pub fn find(&self, conn: ConnId, via: &Via, method: &Method) -> Option<&H> {
        let of = |scope: &Scope| self.scopes.get(scope)?.get(method);
        let own = of(&Scope::Conn(conn));
        own.or_else(|| of(&Scope::Listener(via.listener?)))
            .or_else(|| of(&Scope::Route(via.route.clone())))
            .or_else(|| of(&Scope::All))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Key;

    /// N05, N10: the nearest handler counts, and a change counts from the next look-up on.
    #[test]
    fn n10_the_nearest_handler_counts() {
        let conn = ConnId(Key { slot: 1, generation: 0 });
        let via = Via { listener: Some(4), route: b"admin".to_vec(), ..Via::default() };
        let buy = Method::Name("buy".into());
        let mut handlers = Handlers::default();
        assert_eq!(handlers.find(conn, &via, &buy), None, "to be refused");
        let scopes =
            [Scope::All, Scope::Route(b"admin".to_vec()), Scope::Listener(4), Scope::Conn(conn)];
        for (number, scope) in scopes.iter().enumerate() {
            handlers.on(scope.clone(), "buy", number);
            assert_eq!(handlers.find(conn, &via, &buy), Some(&number));
        }
        let other = ConnId(Key { slot: 1, generation: 1 });
        assert_eq!(handlers.find(other, &Via::default(), &buy), Some(&0));
        assert_eq!(handlers.on(Scope::Conn(conn), "buy", 9), Some(3), "replaced");
        assert_eq!(handlers.find(conn, &via, &buy), Some(&9));
        assert_eq!(handlers.off(&Scope::Conn(conn), "buy"), Some(9));
        assert_eq!(handlers.find(conn, &via, &buy), Some(&2));
        handlers.clear(&Scope::Listener(4));
        assert_eq!((handlers.find(conn, &via, &buy), handlers.len()), (Some(&1), 2));
        assert_eq!(handlers.find(conn, &via, &Method::Number(7)), None);
    }
}
