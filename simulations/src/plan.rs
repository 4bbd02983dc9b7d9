//! What will happen in a run: who owns which phone, who calls whom, and how each call is to go. All from the seed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fabric::letters::flow::Transport;

use crate::dice::Dice;
use crate::weather::Climate;

/// What kind of run a seed is expanded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Menu {
    pub users: usize,
    pub attempts: usize,
    /// Time in which calls begin, milliseconds.
    pub busy_ms: u64,
    pub loss_permille: u64,
    pub duplicate_permille: u64,
    pub reorder_permille: u64,
    /// Phones cut off for a while, of a thousand; and restarted.
    pub cut_permille: u64,
    pub reboot_permille: u64,
    /// Letters to calls, of a million, that make the machine panic.
    pub panic_per_million: u64,
    /// Whether rtpengine and store misbehave for a while in some runs.
    pub sick_ports: bool,
}

impl Menu {
    /// The gate: everything mixed, with 10 % loss, duplication and reordering.
    pub fn mixed() -> Menu {
        Menu {
            users: 14,
            attempts: 70,
            busy_ms: 120_000,
            loss_permille: 100,
            duplicate_permille: 100,
            reorder_permille: 100,
            cut_permille: 60,
            reboot_permille: 60,
            panic_per_million: 0,
            sick_ports: true,
        }
    }

    /// No weather and no faults: every expectation is exact.
    pub fn calm() -> Menu {
        Menu {
            loss_permille: 0,
            duplicate_permille: 0,
            reorder_permille: 0,
            cut_permille: 0,
            reboot_permille: 0,
            sick_ports: false,
            ..Menu::mixed()
        }
    }

    /// Weather, but neither panics nor sick ports.
    pub fn weather() -> Menu {
        Menu { cut_permille: 0, reboot_permille: 0, sick_ports: false, ..Menu::mixed() }
    }

    /// Mixed, and one call letter in 2000 kills its actor.
    pub fn panics() -> Menu {
        Menu { panic_per_million: 500, ..Menu::mixed() }
    }

    pub fn named(name: &str) -> Option<Menu> {
        match name {
            "mixed" => Some(Menu::mixed()),
            "calm" => Some(Menu::calm()),
            "weather" => Some(Menu::weather()),
            "panics" => Some(Menu::panics()),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub climate: Climate,
    pub users: Vec<User>,
    pub devices: Vec<Device>,
    pub attempts: Vec<Attempt>,
    /// Longest call the switch allows, seconds; its session interval, seconds; its longest ringing, seconds.
    pub length_max_s: u32,
    pub session_expires_s: u32,
    pub ring_max_s: u32,
    /// rtpengine answers nothing in this time, milliseconds from and until.
    pub relay_sick: Option<(u64, u64)>,
    /// rtpengine is restarted empty then, milliseconds.
    pub relay_restart: Option<u64>,
    /// The store answers slowly in this time, milliseconds from and until.
    pub store_sick: Option<(u64, u64)>,
    pub panic_per_million: u64,
    /// End of the busy time and of the run, milliseconds.
    pub busy_ms: u64,
    pub end_ms: u64,
}

#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub number: String,
    pub password: String,
    /// Indices of the devices that register for this user.
    pub devices: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Device {
    pub user: usize,
    /// Place among the user's devices.
    pub ordinal: usize,
    pub transport: Transport,
    /// Where packets come from, and what the phone believes its address to be; they differ behind a NAT.
    pub public: SocketAddr,
    pub private: SocketAddr,
    /// First REGISTER; interval asked for; when it unregisters, if it does.
    pub register_at_ms: u64,
    pub expires_s: u32,
    pub unregister_at_ms: Option<u64>,
    /// Thinking time before an answer, milliseconds, at most.
    pub slow_ms: u64,
    pub wrong_password: bool,
    /// From here on it answers nothing, though it is registered.
    pub silent_from_ms: Option<u64>,
    pub reboot_at_ms: Option<u64>,
    /// Supports 100rel, keeps its digest nonce, knows session timers.
    pub reliable: bool,
    pub keeps_nonce: bool,
    pub timer: bool,
    /// Tries to register for ever, not only three times.
    pub patient: bool,
    /// Does not send again what its broken stream has swallowed.
    pub rude: bool,
    /// Number of the balancer site that it talks to.
    pub site: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    User(usize),
    /// A name our domain does not know.
    Unknown,
    /// A domain that is not ours.
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Answer,
    Busy,
    Decline,
    /// Rings until somebody gives up.
    Ring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

/// One call attempt and its script.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub number: usize,
    pub at_ms: u64,
    pub caller: usize,
    pub callee: Callee,
    pub reply: Reply,
    /// The callee's device (by place) that replies so; its others ring.
    pub answers: usize,
    /// All of them answer, at nearly the same moment.
    pub everybody: bool,
    pub ring_ms: u64,
    /// The caller gives up after this time.
    pub cancel_ms: Option<u64>,
    pub talk_ms: u64,
    pub hangs_up: Side,
    /// It does not hang up: it forgets the call.
    pub drops: bool,
    /// One side transfers the other one to a user: who, how long after the answer, to whom.
    pub refer: Option<(Side, u64, usize)>,
    /// Nobody dials this: the switch calls in the name of who was transferred.
    pub by_transfer: bool,
    /// Hold and resume: who, how long after the answer, for how long.
    pub hold: Option<(Side, u64, u64)>,
    /// Both sides send a re-INVITE so long after the answer.
    pub glare_ms: Option<u64>,
    pub early_media: bool,
    pub delayed_offer: bool,
    /// INFO or UPDATE in the call, so long after the answer.
    pub info_ms: Option<u64>,
    pub update_ms: Option<u64>,
    /// A MESSAGE instead of a call.
    pub page: bool,
}

/// The address of the switch, by transport: listener 0 is UDP, listener 1 TCP.
pub fn switch_address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060)
}

pub const DOMAIN: &str = "example.test";

/// Wall clock at the start of every run, milliseconds since 1970.
pub const START_UNIX_MS: u64 = 1_780_000_000_000;

impl Plan {
    pub fn new(seed: u64, menu: &Menu) -> Plan {
        let mut dice = Dice::named(seed, &[b"plan"]);
        let mut plan = Plan {
            seed,
            climate: Climate {
                loss_permille: menu.loss_permille,
                duplicate_permille: menu.duplicate_permille,
                reorder_permille: menu.reorder_permille,
                delay_ms: (1, dice.between(5, 60)),
                late_ms: 400,
                cuts: Vec::new(),
            },
            users: Vec::new(),
            devices: Vec::new(),
            attempts: Vec::new(),
            length_max_s: *dice.pick(&[45, 60, 21_600, 21_600]),
            session_expires_s: *dice.pick(&[1_800, 90, 90]),
            ring_max_s: *dice.pick(&[20, 40]),
            relay_sick: None,
            relay_restart: None,
            store_sick: None,
            panic_per_million: menu.panic_per_million,
            busy_ms: menu.busy_ms,
            end_ms: menu.busy_ms + 200_000,
        };
        for user in 0..menu.users {
            plan.add_user(user, menu, &mut dice);
        }
        let fails = |device: &Device| device.silent_from_ms.is_some() || device.reboot_at_ms.is_some();
        if plan.devices.iter().any(fails) {
            // A call whose phone is gone ends by its session timer; within the run.
            plan.session_expires_s = 90;
        }
        plan.add_attempts(menu, &mut dice);
        if menu.sick_ports {
            plan.sicken(menu, &mut dice);
        }
        plan
    }

    fn add_user(&mut self, user: usize, menu: &Menu, dice: &mut Dice) {
        // One user in a dozen has more phones than bindings are allowed, one has none.
        let devices = match dice.below(12) {
            0 => 6,
            1 | 2 => 3,
            3 | 4 => 2,
            5 => 0,
            _ => 1,
        };
        let mut owned = Vec::new();
        for ordinal in 0..devices {
            owned.push(self.devices.len());
            let device = self.device(user, ordinal, menu, dice);
            self.devices.push(device);
        }
        let number = format!("4319{user:04}");
        let password = format!("secret{}", dice.below(1_000_000));
        self.users.push(User { name: format!("user{user}"), number, password, devices: owned });
    }

    fn device(&mut self, user: usize, ordinal: usize, menu: &Menu, dice: &mut Dice) -> Device {
        let index = self.devices.len() as u8;
        let nat = dice.permille(300);
        let public =
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, index + 1)), if nat { 40_000 } else { 5060 });
        let private = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 1, index + 1)), 5060);
        let transport = if dice.permille(250) { Transport::Tcp } else { Transport::Udp };
        let busy = menu.busy_ms;
        if dice.permille(menu.cut_permille) {
            let from = dice.between(5_000, busy);
            self.climate.cuts.push((public, from, from + dice.between(100, 20_000)));
        }
        Device {
            user,
            ordinal,
            transport,
            public,
            private: if nat { private } else { public },
            register_at_ms: dice.between(10, 8_000),
            expires_s: *dice.pick(&[60, 90, 120, 600]),
            unregister_at_ms: dice.permille(120).then(|| dice.between(20_000, busy)),
            slow_ms: *dice.pick(&[0, 0, 20, 200, 1_500]),
            wrong_password: dice.permille(50),
            silent_from_ms: dice.permille(50).then(|| dice.between(20_000, busy)),
            reboot_at_ms: dice.permille(menu.reboot_permille).then(|| dice.between(20_000, busy)),
            reliable: dice.permille(400),
            keeps_nonce: dice.permille(500),
            timer: dice.permille(600),
            patient: false,
            rude: true,
            site: 0,
        }
    }

    fn add_attempts(&mut self, menu: &Menu, dice: &mut Dice) {
        if self.devices.is_empty() {
            return;
        }
        let mut pairs = std::collections::BTreeSet::new();
        for number in 0..menu.attempts {
            let caller = dice.below(self.devices.len());
            let user = self.devices[caller].user;
            let callee = match dice.below(20) {
                0 => Callee::Unknown,
                1 => Callee::Foreign,
                _ => Callee::User(dice.below(self.users.len())),
            };
            // A pair of users calls once in a run: so the callee's phone knows which attempt it is.
            let same = match callee {
                Callee::User(other) => other == user || !pairs.insert((user, other)),
                _ => false,
            };
            let at_ms = dice.between(12_000, menu.busy_ms);
            if !same {
                let attempt = self.attempt(number, at_ms, caller, callee, dice);
                self.attempts.push(attempt);
            }
        }
        self.attempts.sort_by_key(|attempt| (attempt.at_ms, attempt.number));
        for (number, attempt) in self.attempts.iter_mut().enumerate() {
            attempt.number = number;
        }
    }

    pub(crate) fn attempt(&self, number: usize, at_ms: u64, caller: usize, callee: Callee, dice: &mut Dice) -> Attempt {
        let devices = match callee {
            Callee::User(user) => self.users[user].devices.len(),
            _ => 1,
        };
        let side = |dice: &mut Dice| if dice.permille(500) { Side::Caller } else { Side::Callee };
        let talk_ms = if dice.permille(80) { 100_000 } else { dice.between(200, 40_000) };
        Attempt {
            number,
            at_ms,
            caller,
            callee,
            reply: match dice.below(20) {
                0 | 1 => Reply::Busy,
                2 => Reply::Decline,
                3 | 4 => Reply::Ring,
                _ => Reply::Answer,
            },
            answers: dice.below(devices),
            everybody: dice.permille(150),
            ring_ms: *dice.pick(&[0, 5, 300, 2_000, 6_000]) + dice.between(0, 200),
            cancel_ms: dice.permille(180).then(|| dice.between(1, 7_000)),
            talk_ms,
            hangs_up: side(dice),
            drops: false,
            refer: None,
            by_transfer: false,
            hold: dice.permille(200).then(|| (side(dice), dice.between(100, 4_000), dice.between(500, 5_000))),
            glare_ms: dice.permille(120).then(|| dice.between(1_000, 6_000)),
            early_media: dice.permille(200),
            delayed_offer: dice.permille(80),
            info_ms: dice.permille(100).then(|| dice.between(100, 5_000)),
            update_ms: dice.permille(100).then(|| dice.between(100, 5_000)),
            page: dice.permille(60),
        }
    }

    fn sicken(&mut self, menu: &Menu, dice: &mut Dice) {
        if dice.permille(150) {
            let from = dice.between(10_000, menu.busy_ms);
            self.relay_sick = Some((from, from + dice.between(500, 15_000)));
        }
        if dice.permille(100) {
            self.relay_restart = Some(dice.between(10_000, menu.busy_ms));
        }
        if dice.permille(150) {
            let from = dice.between(10_000, menu.busy_ms);
            self.store_sick = Some((from, from + dice.between(500, 10_000)));
        }
    }

    /// The attempt that a transfer has made this one of; itself when none has.
    pub fn joined(&self, number: usize) -> usize {
        let own = &self.attempts[number];
        if !own.by_transfer {
            return number;
        }
        let came_from = |attempt: &&Attempt| {
            let Some((by, _, target)) = attempt.refer else { return false };
            let far = match by {
                Side::Callee => attempt.caller == own.caller,
                Side::Caller => attempt.callee == Callee::User(self.devices[own.caller].user),
            };
            far && own.callee == Callee::User(target)
        };
        self.attempts.iter().find(came_from).map_or(number, |attempt| attempt.number)
    }

    /// The attempt that a phone of `callee` sees when somebody called `caller` rings.
    pub fn attempt_between(&self, caller_user: usize, callee_user: usize) -> Option<usize> {
        self.attempts
            .iter()
            .find(|attempt| {
                self.devices[attempt.caller].user == caller_user && attempt.callee == Callee::User(callee_user)
            })
            .map(|attempt| attempt.number)
    }
}
