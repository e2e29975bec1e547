//! Answers of ours: given at once, or kept until there is room.

use super::Front;
use super::books::Answer;
use bytes::Bytes;
use tripline_rpc::{AnswerError, ConnId, Refusal, RequestId};
use tripline_sansio::Instant;

impl Front {
    /// Answers a request; what finds no room waits for it here, as the request waits for it there.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        answer: Answer,
    ) -> Result<(), AnswerError> {
        if self.over.is_some() {
            return Err(AnswerError::Unknown);
        }
        let told = self.try_answer(now, conn, request, &answer);
        if told == Err(AnswerError::Blocked) {
            self.book(conn).unsent.push_back((request, answer));
            return Ok(());
        }
        told
    }

    fn try_answer(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        answer: &Answer,
    ) -> Result<(), AnswerError> {
        let node = &mut self.node;
        match answer {
            Answer::Reply(payload) => node.reply(now, conn, request, payload.clone()),
            Answer::Fail(code, detail) => node.fail(now, conn, request, *code, detail.clone()),
            Answer::Refuse(refusal, detail) => {
                node.refuse(now, conn, request, *refusal, detail.clone())
            }
        }
    }

    pub(super) fn send_unsent(&mut self, now: Instant, conn: ConnId) {
        loop {
            let Some(book) = self.books.get_mut(&conn) else { return };
            let Some((request, answer)) = book.unsent.pop_front() else { return };
            self.node_again(now);
            match self.try_answer(now, conn, request, &answer) {
                Err(AnswerError::Blocked) => {
                    self.book(conn).unsent.push_front((request, answer));
                    return;
                }
                // Over a new pipe it may be more than the caller takes.
                Err(AnswerError::TooLarge { .. }) => {
                    let none = Answer::Refuse(Refusal::Unanswered, Bytes::new());
                    let _ = self.try_answer(now, conn, request, &none);
                }
                _ => {}
            }
        }
    }
}
