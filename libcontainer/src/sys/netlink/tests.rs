use super::*;

#[test]
fn the_loopback_device_is_found_and_no_other() {
    let mut netlink = Netlink::new().unwrap();
    assert_eq!(netlink.link("lo").unwrap().index, 1);
    let error = netlink.link("no-such-device").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

#[test]
fn addresses_of_the_host_s_loopback_are_not_kept() {
    let mut netlink = Netlink::new().unwrap();
    assert_eq!(netlink.addresses(1).unwrap(), [], "127.0.0.1 is valid on the host alone");
    assert_eq!(netlink.addresses(u32::MAX).unwrap(), []);
}

/// `struct ifaddrmsg` of device 7 with an IPv4 address.
fn message(flags: u8, scope: u8, wide: Option<u32>) -> Vec<u8> {
    let mut message = Message(vec![2, 24, flags, scope, 7, 0, 0, 0]);
    message.attribute(IFA_ADDRESS, &[192, 0, 2, 1]);
    message.attribute(IFA_LOCAL, &[192, 0, 2, 1]);
    message.attribute(libc::IFA_LABEL, b"eth0\0");
    if let Some(wide) = wide {
        message.attribute(IFA_FLAGS, &wide.to_ne_bytes());
    }
    message.0
}

#[test]
fn only_global_permanent_addresses_of_the_device_are_kept() {
    let expected = Address {
        family: 2,
        prefix: 24,
        attributes: vec![(IFA_ADDRESS, vec![192, 0, 2, 1]), (IFA_LOCAL, vec![192, 0, 2, 1])],
    };
    assert_eq!(address_of(&message(0x80, 0, None), 7), Some(expected.clone()));
    assert_eq!(address_of(&message(0, 0, Some(0x280)), 7), Some(expected), "the attribute has all flags");
    assert_eq!(address_of(&message(0x80, 0, Some(0)), 7), None, "a lease");
    assert_eq!(address_of(&message(0x80, libc::RT_SCOPE_LINK, None), 7), None);
    assert_eq!(address_of(&message(0x80, 0, None), 8), None);
    assert_eq!(address_of(&message(0x80, 0, None)[..6], 7), None, "cut short");
}

#[test]
fn damaged_answers_end_the_list() {
    let mut message = Message::new(RTM_NEWLINK, 0, &link_body(3, 1, 0));
    let good = message.finish(9).to_vec();
    let found: Vec<_> =
        Answers(&good).map(|answer| (answer.kind, answer.sequence, link_of(answer.body))).collect();
    assert_eq!(found, [(RTM_NEWLINK, 9, Some(Link { index: 3, is_up: true }))]);
    for length in [0u32, 15, 33, u32::MAX] {
        let mut bad = good.clone();
        bad[..4].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(Answers(&bad).count(), 0, "{length}");
    }
    for end in 0..good.len() {
        assert_eq!(Answers(&good[..end]).count(), 0, "{end}");
    }
    assert_eq!(Attributes(&[3, 0, 1, 0]).count(), 0);
    assert_eq!(Attributes(&[9, 0, 1, 0]).count(), 0);
}

#[test]
fn an_answer_of_the_kernel_becomes_its_errno() {
    assert!(outcome(&0i32.to_ne_bytes()).is_ok());
    assert_eq!(outcome(&(-19i32).to_ne_bytes()).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    assert!(outcome(&[]).is_err());
}
