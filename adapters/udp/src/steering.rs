//! Which socket of a group the kernel gives a datagram to: a rule, and the program made from it.
//!
//! The rule looks at the first byte and at one number; what these mean is for the protocol above to
//! say. The program is classic BPF, which every kernel since 4.5 runs for any user: no privileges,
//! no loops, and it can do nothing but choose. Where the kernel does not take it, its own choice
//! stands: by the hash of both addresses, so that one peer meets one socket.

#[cfg(target_os = "linux")]
use nix::libc::sock_filter;
use std::io;
use std::os::fd::AsFd;

/// Which datagrams carry a number that names their socket, and where.
///
/// A datagram whose first byte is one of `first` goes to socket number `(n >> shift) % count`, `n`
/// being the four bytes from `at` on as a big-endian number. All others go by their addresses; what
/// is too short to hold the number goes to the first socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steering<'a> {
    /// Pairs of mask and value: a first byte that has this value under this mask is one of them.
    /// 16 pairs at most.
    pub first: &'a [(u8, u8)],
    /// Where the number begins; within a datagram, so at 65,535 at most.
    pub at: u32,
    /// Low bits of it that do not count.
    pub shift: u32,
}

/// Pairs of mask and value, at most: a program's jumps are a byte long.
const FIRST_MAX: usize = 16;

impl Steering<'_> {
    /// Asks the kernel to steer the group that `socket` belongs to, of `count` sockets in the order
    /// in which they were bound.
    pub(crate) fn attach(&self, socket: &impl AsFd, count: u16) -> io::Result<()> {
        // Beyond any datagram classic BPF has numbers of other things.
        let beyond = self.at > u32::from(u16::MAX) || self.shift >= u32::BITS;
        if self.first.len() > FIRST_MAX || count == 0 || beyond {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.attach_program(socket, count)
    }

    #[cfg(not(target_os = "linux"))]
    fn attach_program(&self, _socket: &impl AsFd, _count: u16) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux steers by a program"))
    }

    #[cfg(target_os = "linux")]
    fn attach_program(&self, socket: &impl AsFd, count: u16) -> io::Result<()> {
        use nix::sys::socket::{setsockopt, sockopt};
        let mut program = self.program(count);
        let len = u16::try_from(program.len()).map_err(io::Error::other)?;
        let program = nix::libc::sock_fprog { len, filter: program.as_mut_ptr() };
        Ok(setsockopt(socket, sockopt::AttachReusePortCbpf, &program)?)
    }

    /// The program: its answer is the number of a socket, or one beyond all, which leaves the
    /// choice to the kernel. The datagram begins at offset 0.
    #[cfg(target_os = "linux")]
    fn program(&self, count: u16) -> Vec<sock_filter> {
        use nix::libc::{
            BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MOD, BPF_RET,
            BPF_RSH, BPF_W,
        };
        let step = |code: u32, k: u32, jump: u8| {
            // All codes are below 2^8, all jumps forward.
            sock_filter { code: code as u16, jt: jump, jf: 0, k }
        };
        let mut program = Vec::new();
        let mut left = self.first.len();
        for (mask, value) in self.first {
            left -= 1;
            program.push(step(BPF_LD | BPF_B | BPF_ABS, 0, 0));
            program.push(step(BPF_ALU | BPF_AND | BPF_K, u32::from(*mask), 0));
            // Over three steps for each pair that is left, and over the return.
            let jump = (3 * left + 1) as u8;
            program.push(step(BPF_JMP | BPF_JEQ | BPF_K, u32::from(*value), jump));
        }
        program.push(step(BPF_RET | BPF_K, u32::MAX, 0));
        program.push(step(BPF_LD | BPF_W | BPF_ABS, self.at, 0));
        program.push(step(BPF_ALU | BPF_RSH | BPF_K, self.shift, 0));
        program.push(step(BPF_ALU | BPF_MOD | BPF_K, u32::from(count), 0));
        // The accumulator is the answer (BPF_A).
        program.push(step(BPF_RET | 0x10, 0, 0));
        program
    }
}
