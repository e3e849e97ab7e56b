use proptest::prelude::*;

use super::*;
use crate::push::outcome::{Scope, Verdict};

const FIRST: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn outcome(verdict: Verdict, status: u16) -> Outcome {
    Outcome::new(
        verdict,
        ServiceAnswer {
            status,
            reason: Some(format!("words {status}")),
            id: None,
        },
    )
}

fn retry(after: Option<u64>, scope: Scope) -> Verdict {
    Verdict::Retry {
        after: after.map(Duration::from_secs),
        scope,
    }
}

/// Sends one push at `now`; says how it was admitted.
fn push(circuit: &mut Circuit, outcome: &Outcome, now: Timestamp) -> Admission {
    push_to(1, circuit, outcome, now)
}

fn push_to(channel: u64, circuit: &mut Circuit, outcome: &Outcome, now: Timestamp) -> Admission {
    let admission = circuit.admit(false, now);
    let was_probe = admission == Admission::Probe;
    if !matches!(admission, Admission::Hold(_)) {
        circuit.learn((outcome, channel), was_probe, (FIRST, 1.0), now);
        circuit.leave(was_probe);
    }
    admission
}

fn failing() -> Outcome {
    outcome(retry(None, Scope::Lane), 503)
}

fn tripped(now: Timestamp) -> Circuit {
    let mut circuit = Circuit::default();
    for _ in 0..TRIP {
        assert_eq!(push(&mut circuit, &failing(), now), Admission::Go);
    }
    circuit
}

#[test]
fn every_outcome_says_something_about_the_service_or_nothing() {
    let check = |verdict, status, expected| {
        assert_eq!(
            signal(&outcome(verdict, status)),
            expected,
            "{verdict:?} {status}"
        );
    };
    let (channel, unsaid, lane) = (Scope::Channel, Scope::Unsaid, Scope::Lane);
    check(Verdict::Accepted, 200, Signal::Alive { took: true });
    check(Verdict::Dropped, 200, Signal::Alive { took: true });
    check(
        Verdict::Gone { since: None },
        410,
        Signal::Alive { took: false },
    );
    check(Verdict::Rejected, 400, Signal::Alive { took: false });
    check(Verdict::Rejected, 0, Signal::Nothing);
    check(Verdict::Misconfigured, 403, Signal::Refused);
    check(
        retry(Some(60), lane),
        429,
        Signal::Demanded(Duration::from_secs(60)),
    );
    check(
        retry(Some(60), unsaid),
        429,
        Signal::Busy(Duration::from_secs(60)),
    );
    check(retry(None, unsaid), 429, Signal::Alive { took: false });
    check(retry(None, unsaid), 500, failing_after(0));
    check(retry(None, unsaid), 0, failing_after(0));
    check(retry(None, lane), 503, failing_after(0));
    check(retry(Some(9), unsaid), 503, failing_after(9));
    check(retry(Some(9), channel), 429, Signal::Alive { took: false });
    check(retry(None, channel), 507, Signal::Alive { took: false });
    check(retry(None, channel), 0, Signal::Nothing);
}

fn failing_after(secs: u64) -> Signal {
    let after = Duration::from_secs(secs);
    Signal::Failing { after }
}

#[test]
fn what_a_host_demands_of_many_channels_in_a_row_it_demands_of_all() {
    let busy = outcome(retry(Some(60), Scope::Unsaid), 429);
    let taken = outcome(Verdict::Accepted, 200);
    let mut circuit = Circuit::default();
    for _ in 0..3 * TRIP {
        assert_eq!(push(&mut circuit, &busy, at(0)), Admission::Go, "one alone");
    }
    assert_eq!(push(&mut circuit, &taken, at(0)), Admission::Go);
    let many = u64::from(TRIP);
    for channel in 1..=many {
        let admission = push_to(channel, &mut circuit, &busy, at(0));
        assert_eq!(admission, Admission::Go);
    }
    let Admission::Hold(hold) = circuit.admit(false, at(59_999)) else {
        panic!("it is open")
    };
    assert!(hold.until >= at(60_000));
    assert_eq!(push(&mut circuit, &busy, at(60_000)), Admission::Probe);
    assert!(matches!(
        circuit.admit(false, at(119_999)),
        Admission::Hold(_)
    ));
    assert_eq!(push(&mut circuit, &taken, at(120_000)), Admission::Probe);
    assert_eq!(push(&mut circuit, &taken, at(120_000)), Admission::Go);
}

#[test]
fn a_service_that_fails_is_not_asked_before_it_wants_to_be() {
    let mut circuit = Circuit::default();
    let failing = outcome(retry(Some(120), Scope::Unsaid), 503);
    for _ in 0..TRIP {
        push(&mut circuit, &failing, at(0));
    }
    assert!(matches!(
        circuit.admit(false, at(119_999)),
        Admission::Hold(_)
    ));
    assert_eq!(circuit.admit(false, at(120_000)), Admission::Probe);
}

#[test]
fn failures_in_a_row_open_it_and_one_success_between_them_does_not() {
    let mut circuit = Circuit::default();
    for _ in 0..3 * TRIP {
        for _ in 1..TRIP {
            assert_eq!(push(&mut circuit, &failing(), at(0)), Admission::Go);
        }
        let alive = outcome(Verdict::Gone { since: None }, 410);
        assert_eq!(push(&mut circuit, &alive, at(0)), Admission::Go);
    }
    let mut circuit = tripped(at(0));
    let Admission::Hold(hold) = circuit.admit(false, at(0)) else {
        panic!("it is open")
    };
    assert_eq!((hold.until, hold.stopped), (at(1000), None));
    assert_eq!(hold.answer.unwrap().status, 503, "in the service's words");
}

#[test]
fn one_probe_at_a_time_with_growing_waits_until_it_answers() {
    let mut circuit = tripped(at(0));
    assert!(matches!(circuit.admit(false, at(999)), Admission::Hold(_)));
    let mut now = at(1000);
    for wait in [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
        assert_eq!(circuit.admit(false, now), Admission::Probe);
        assert!(
            matches!(circuit.admit(false, now), Admission::Hold(_)),
            "a second one beside the probe"
        );
        circuit.learn((&failing(), 1), true, (FIRST, 1.0), now);
        circuit.leave(true);
        let until = circuit.standing().unwrap().until;
        assert_eq!(until.since(now), Duration::from_millis(wait));
        now = until;
    }
    let taken = outcome(Verdict::Accepted, 200);
    assert_eq!(push(&mut circuit, &taken, now), Admission::Probe);
    assert_eq!(push(&mut circuit, &taken, now), Admission::Go);
}

#[test]
fn what_is_said_of_single_channels_holds_up_no_other() {
    let mut circuit = Circuit::default();
    for channel in 0..3 * u64::from(TRIP) {
        for (after, status) in [(None, 507), (Some(60), 429), (None, 0)] {
            let alone = outcome(retry(after, Scope::Channel), status);
            let admission = push_to(channel, &mut circuit, &alone, at(0));
            assert_eq!(admission, Admission::Go);
        }
    }
    assert!(circuit.standing().is_none());
}

#[test]
fn the_longer_a_probe_takes_the_longer_are_those_put_off_that_wait() {
    let mut circuit = tripped(at(0));
    assert_eq!(circuit.admit(false, at(5000)), Admission::Probe);
    let mut times = 0;
    let mut now = at(5000);
    while now < at(20_000) {
        let Admission::Hold(hold) = circuit.admit(false, now) else {
            panic!("a second one beside the probe")
        };
        assert!(hold.until.since(now) >= PROBING);
        now = hold.until;
        times += 1;
    }
    assert!(times <= 6, "put off {times} times in fifteen seconds");
    // The machine was asleep, or its clock leapt.
    let woken = at(24 * 3600 * 1000);
    let Admission::Hold(hold) = circuit.admit(false, woken) else {
        panic!("a second one beside the probe")
    };
    assert_eq!(hold.until.since(woken), MAX_WAIT);
}

#[test]
fn a_probe_that_never_left_gives_its_place_to_another() {
    let mut circuit = tripped(at(0));
    assert_eq!(circuit.admit(false, at(5000)), Admission::Probe);
    circuit.leave(true);
    assert_eq!(circuit.admit(false, at(5000)), Admission::Probe);
}

#[test]
fn what_is_held_comes_back_at_a_bounded_rate() {
    let mut circuit = tripped(at(0));
    let mut untils: Vec<Timestamp> = (0..1000)
        .map(|_| match circuit.admit(false, at(0)) {
            Admission::Hold(hold) => hold.until,
            other => panic!("{other:?}"),
        })
        .collect();
    untils.dedup();
    assert_eq!(untils.len(), 1000, "each in a slot of its own");
    assert_eq!(untils[999].since(untils[0]), SLOT * 999);
    // The circuit closes; what comes anew does not queue up behind the backlog.
    push(&mut circuit, &outcome(Verdict::Accepted, 200), at(1000));
    assert_eq!(circuit.admit(false, at(1000)), Admission::Go);
}

#[test]
fn a_demand_is_kept_to_its_end_whatever_was_under_way() {
    let mut circuit = Circuit::default();
    let demand = outcome(retry(Some(120), Scope::Lane), 429);
    push(&mut circuit, &demand, at(0));
    circuit.learn(
        (&outcome(Verdict::Accepted, 200), 1),
        false,
        (FIRST, 1.0),
        at(10),
    );
    circuit.learn(
        (&outcome(retry(Some(5), Scope::Lane), 429), 1),
        false,
        (FIRST, 1.0),
        at(20),
    );
    assert_eq!(circuit.standing().unwrap().until, at(120_000));
    assert!(matches!(
        circuit.admit(false, at(119_999)),
        Admission::Hold(_)
    ));
    let taken = outcome(Verdict::Accepted, 200);
    assert_eq!(push(&mut circuit, &taken, at(120_000)), Admission::Probe);
    assert_eq!(circuit.admit(false, at(120_000)), Admission::Go);
}

#[test]
fn refused_settings_stop_it_until_one_push_is_taken() {
    let mut circuit = Circuit::default();
    let refused = outcome(Verdict::Misconfigured, 403);
    push(&mut circuit, &refused, at(0));
    let Admission::Hold(hold) = circuit.admit(false, at(1)) else {
        panic!("it is open")
    };
    assert_eq!((hold.until, hold.stopped), (at(60_000), Some(at(0))));
    // A probe that the service calls dead proves nothing about the settings.
    let gone = outcome(Verdict::Gone { since: None }, 410);
    assert_eq!(push(&mut circuit, &gone, at(60_000)), Admission::Probe);
    let taken = outcome(Verdict::Accepted, 200);
    assert_eq!(push(&mut circuit, &taken, at(60_000)), Admission::Probe);
    assert!(circuit.standing().is_none());
}

#[test]
fn what_is_refused_of_the_login_is_refused_for_all() {
    let check = |status: u16, reason: &str, for_all: bool| {
        let mut circuit = Circuit::default();
        let taken = outcome(Verdict::Accepted, 201);
        push_to(1, &mut circuit, &taken, at(0));
        let mut refused = outcome(Verdict::Misconfigured, status);
        refused.answer.reason = Some(reason.to_owned());
        push_to(1, &mut circuit, &refused, at(1000));
        assert_eq!(circuit.standing().is_some(), for_all, "{reason}");
    };
    check(401, "token endpoint: invalid_client", true);
    check(403, "BadCertificate", true);
    check(403, "BadCertificateEnvironment", true);
    let ended = format!("{} at noon", ServiceAnswer::ENDED);
    check(0, &ended, true);
    // These may be about the topic that a client named, or the key of its subscription.
    check(403, "InvalidProviderToken", false);
    check(403, "TopicDisallowed", false);
    check(401, "Unauthorized", false);
}

#[test]
fn a_guard_that_is_over_stands_in_nobodys_way() {
    let mut circuit = Circuit::default();
    circuit.guard(&outcome(Verdict::Misconfigured, 410), at(0));
    assert!(matches!(circuit.admit(false, at(1)), Admission::Hold(_)));
    assert!(circuit.unguard(at(2)));
    assert_eq!(circuit.admit(false, at(2)), Admission::Go);
    let refused = outcome(Verdict::Misconfigured, 403);
    circuit.learn((&refused, 1), false, (FIRST, 1.0), at(3));
    assert!(!circuit.unguard(at(4)) && circuit.standing().is_some());
    // What the service demanded of everyone holds all the same.
    let mut circuit = Circuit::default();
    push(
        &mut circuit,
        &outcome(retry(Some(30), Scope::Lane), 429),
        at(0),
    );
    circuit.guard(&outcome(Verdict::Misconfigured, 410), at(1));
    assert!(circuit.unguard(at(2)));
    assert!(matches!(circuit.admit(false, at(3)), Admission::Hold(_)));
}

#[test]
fn settings_that_are_refused_for_one_channel_alone_stop_no_other_for_long() {
    let mut circuit = Circuit::default();
    let refused = outcome(Verdict::Misconfigured, 401);
    let taken = outcome(Verdict::Accepted, 201);
    assert_eq!(push_to(1, &mut circuit, &refused, at(0)), Admission::Go);
    assert!(circuit.standing().is_some(), "nothing vouches for them yet");
    // Another channel probes, and is taken: it was the first one.
    let then = at(60_000);
    assert_eq!(push_to(2, &mut circuit, &taken, then), Admission::Probe);
    for secs in [61, 300, 3600] {
        let now = at(secs * 1000);
        assert_eq!(push_to(1, &mut circuit, &refused, now), Admission::Go);
        assert!(circuit.standing().is_none(), "after {secs} s");
    }
    // Once it is taken itself, it tells of the settings again.
    push_to(1, &mut circuit, &taken, at(3_600_000));
    push_to(1, &mut circuit, &refused, at(3_661_000));
    assert!(circuit.standing().is_some());
}

#[test]
fn settings_that_were_good_a_moment_ago_are_refused_for_many_before_all_stops() {
    let mut circuit = Circuit::default();
    let refused = outcome(Verdict::Misconfigured, 403);
    push_to(9, &mut circuit, &outcome(Verdict::Accepted, 200), at(0));
    for channel in 1..u64::from(TRIP) {
        push_to(channel, &mut circuit, &refused, at(1000));
        assert!(circuit.standing().is_none(), "for {channel}");
    }
    push_to(u64::from(TRIP), &mut circuit, &refused, at(1000));
    assert!(circuit.standing().is_some());
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Begin,
    End(u8),
    Wait(u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Begin),
        3 => (0_u8..6).prop_map(Act::End),
        1 => (0_u16..10_000).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 1..200)
}

proptest! {
    /// Whatever happens: never two probes at once, nothing leaves before its time, and a held tap is always told
    /// when to come back, in the future.
    #[test]
    fn at_most_one_probe_and_no_push_into_an_open_circuit(acts in acts()) {
        let ends = [
            outcome(Verdict::Accepted, 200),
            failing(),
            outcome(retry(Some(7), Scope::Lane), 429),
            outcome(Verdict::Misconfigured, 403),
            outcome(Verdict::Gone { since: None }, 410),
            outcome(retry(None, Scope::Unsaid), 0),
        ];
        let (mut circuit, mut now) = (Circuit::default(), at(0));
        let mut under_way: Vec<bool> = Vec::new();
        for act in acts {
            match act {
                Act::Begin => {
                    let until = circuit.standing().map(|standing| standing.until);
                    match circuit.admit(false, now) {
                        Admission::Hold(hold) => prop_assert!(hold.until > now),
                        Admission::Go => {
                            prop_assert!(until.is_none());
                            under_way.push(false);
                        }
                        Admission::Probe => {
                            prop_assert!(until.is_some_and(|until| until <= now));
                            under_way.push(true);
                        }
                    }
                }
                Act::End(nth) if !under_way.is_empty() => {
                    let was_probe = under_way.remove(usize::from(nth) % under_way.len());
                    circuit.learn((&ends[usize::from(nth)], 1), was_probe, (FIRST, 0.5), now);
                    circuit.leave(was_probe);
                }
                Act::End(_) => {}
                Act::Wait(millis) => now = now.plus(Duration::from_millis(millis.into())),
            }
            prop_assert_eq!(circuit.under_way, under_way.len());
            prop_assert!(under_way.iter().filter(|probe| **probe).count() <= 1);
        }
    }
}

#[test]
fn a_proven_channel_tells_at_once_whether_a_guard_is_of_use() {
    let mut circuit = Circuit::default();
    let gone = outcome(Verdict::Misconfigured, 410);
    circuit.guard(&gone, at(0));
    assert!(matches!(circuit.admit(false, at(1)), Admission::Hold(_)));
    assert_eq!(circuit.admit(true, at(1)), Admission::Probe);
    assert!(matches!(circuit.admit(true, at(1)), Admission::Hold(_)));
    circuit.guard(&gone, at(2));
    circuit.leave(true);
    assert!(matches!(circuit.admit(true, at(1000)), Admission::Hold(_)));
    assert_eq!(circuit.admit(true, at(1001)), Admission::Probe);
    circuit.learn(
        (&outcome(Verdict::Accepted, 200), 1),
        true,
        (FIRST, 1.0),
        at(1002),
    );
    circuit.leave(true);
    assert_eq!(circuit.admit(false, at(1002)), Admission::Go);
}

#[test]
fn what_the_service_refuses_is_tried_once_a_pause_by_a_proven_channel() {
    let mut circuit = Circuit::default();
    let refused = outcome(Verdict::Misconfigured, 403);
    let ends = |circuit: &mut Circuit, outcome: &Outcome, now| {
        circuit.learn((outcome, 2), true, (FIRST, 1.0), now);
        circuit.leave(true);
    };
    push(&mut circuit, &refused, at(0));
    assert!(matches!(circuit.admit(false, at(1)), Admission::Hold(_)));
    assert_eq!(circuit.admit(true, at(1)), Admission::Probe);
    ends(&mut circuit, &refused, at(2));
    for proven in [true, false] {
        let admission = circuit.admit(proven, at(60_000));
        assert!(matches!(admission, Admission::Hold(_)));
    }
    assert_eq!(circuit.admit(true, at(60_001)), Admission::Probe);
    ends(&mut circuit, &outcome(Verdict::Accepted, 201), at(60_002));
    assert_eq!(circuit.admit(false, at(60_003)), Admission::Go);
}

#[test]
fn a_demand_is_kept_once_for_all_who_hear_it_and_goes_on_in_another_circuit() {
    let mut circuit = Circuit::default();
    assert_eq!(circuit.unkept(at(0)), None);
    push(
        &mut circuit,
        &outcome(retry(Some(5), Scope::Lane), 429),
        at(0),
    );
    assert_eq!(circuit.unkept(at(0)), None, "it is over before a restart");
    // They were under way when the first was answered.
    let demand = outcome(retry(Some(300), Scope::Lane), 429);
    for (nth, kept) in [(1, true), (2, false), (10_000, false), (11_001, true)] {
        circuit.learn((&demand, 1), false, (FIRST, 1.0), at(nth));
        let expected = kept.then(|| at(nth + 300_000));
        let unkept = circuit.unkept(at(nth));
        assert_eq!(unkept.map(|it| it.until), expected, "{nth}");
    }
    let demand = circuit.demand(at(12_000)).unwrap();
    assert_eq!(demand.since, at(0));
    let mut other = Circuit::demanded(demand);
    assert_eq!(other.unkept(at(12_000)), None, "it is kept already");
    let held = other.admit(false, at(12_000));
    assert!(matches!(held, Admission::Hold(_)), "{held:?}");
    assert_eq!(other.admit(false, at(311_001)), Admission::Probe);
    assert_eq!(other.demand(at(311_001)), None, "it is over");
}

#[test]
fn what_no_service_demanded_of_everyone_is_no_demand() {
    let mut failing = tripped(at(0));
    let mut refused = Circuit::default();
    push(&mut refused, &outcome(Verdict::Misconfigured, 403), at(0));
    let mut guarded = Circuit::default();
    guarded.guard(&outcome(Verdict::Misconfigured, 410), at(0));
    for circuit in [&mut failing, &mut refused, &mut guarded] {
        assert_eq!(circuit.demand(at(0)), None);
        assert_eq!(circuit.unkept(at(0)), None);
    }
}

#[test]
fn what_is_held_waits_for_no_slot_of_a_wait_that_was_longer() {
    let mut circuit = Circuit::default();
    circuit.hold(at(120_000));
    for _ in 0..TRIP {
        push(&mut circuit, &failing(), at(1_000));
    }
    let Admission::Hold(hold) = circuit.admit(false, at(1_001)) else {
        panic!("it is open");
    };
    assert!(hold.until < at(5_000), "held until {}", hold.until);
}

#[test]
fn a_demand_that_comes_while_it_is_open_for_longer_is_kept_to_its_end() {
    let mut circuit = Circuit::default();
    for _ in 0..3 {
        assert_eq!(circuit.admit(false, at(0)), Admission::Go);
    }
    // Of three under way, the last one's answer ends what the first one's began.
    for (verdict, status) in [
        (Verdict::Misconfigured, 401),
        (retry(Some(50), Scope::Lane), 429),
        (Verdict::Accepted, 200),
    ] {
        let told = outcome(verdict, status);
        circuit.learn((&told, 1), false, (FIRST, 1.0), at(0));
        circuit.leave(false);
    }
    assert_eq!(circuit.standing().unwrap().why, Why::Demanded);
    assert_eq!(circuit.demand(at(0)).unwrap().until, at(50_000));
    let Admission::Hold(hold) = circuit.admit(false, at(1_000)) else {
        panic!("it was let through")
    };
    assert_eq!((hold.until, hold.answer.unwrap().status), (at(50_000), 429));
    assert_eq!(circuit.admit(false, at(50_000)), Admission::Probe);
}

#[test]
fn a_guard_honours_what_the_service_demands() {
    let mut circuit = Circuit::default();
    circuit.guard(&outcome(Verdict::Misconfigured, 410), at(0));
    let mut asked = Vec::new();
    for second in 0..40 {
        let now = at(1_000 * second);
        match circuit.admit(true, now) {
            Admission::Hold(hold) => assert!(hold.until >= at(30_000), "{hold:?}"),
            _ => {
                let left = retry(Some(30), Scope::Lane);
                circuit.learn((&outcome(left, 429), 1), true, (FIRST, 1.0), now);
                circuit.leave(true);
                asked.push(second);
            }
        }
    }
    assert_eq!(asked, [0, 30], "those that were proven try the guard");
}

#[test]
fn what_a_clock_told_that_had_leapt_stands_in_nobodys_way() {
    let leap = at(7_200_000);
    let refused = |circuit: &mut Circuit| {
        push(circuit, &outcome(Verdict::Misconfigured, 403), leap);
    };
    let fails = |circuit: &mut Circuit| {
        (0..TRIP).for_each(|_| drop(push(circuit, &failing(), leap)));
    };
    let guarded = |circuit: &mut Circuit| {
        circuit.guard(&outcome(Verdict::Misconfigured, 410), leap);
    };
    let demanded = |circuit: &mut Circuit| {
        push(circuit, &outcome(retry(Some(600), Scope::Lane), 429), leap);
    };
    // Since before the leap, and told of again in it.
    let lasting = |circuit: &mut Circuit| {
        push(circuit, &outcome(Verdict::Misconfigured, 403), at(0));
        let admitted = circuit.admit(true, leap);
        assert_eq!(admitted, Admission::Probe);
        let told = outcome(Verdict::Misconfigured, 403);
        circuit.learn((&told, 1), true, (FIRST, 1.0), leap);
        circuit.leave(true);
    };
    let leapt: [&dyn Fn(&mut Circuit); 5] = [&refused, &fails, &guarded, &demanded, &lasting];
    for (nth, leapt) in leapt.into_iter().enumerate() {
        let mut circuit = Circuit::default();
        leapt(&mut circuit);
        let held = circuit.admit(false, leap);
        assert!(matches!(held, Admission::Hold(_)), "{nth}: {held:?}");
        let put_off = circuit.put_off(at(1_000)).until;
        assert!(put_off < at(60_000), "{nth}: {put_off}");
        assert_eq!(circuit.admit(false, at(1_000)), Admission::Go, "{nth}");
    }
}
