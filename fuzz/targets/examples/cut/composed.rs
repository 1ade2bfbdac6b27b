//! Seeds that no capture has: scripts of time, loss and floods

use pptp_fuzz_targets::{clear, client, dns, gre, link, mppe, netstack, script::Writer};

use crate::{Outcome, Seeds};

impl Seeds<'_> {
    /// Scripts of time and loss, which no capture has
    pub(crate) fn composed(&self) -> Outcome<()> {
        for encryption in 0..4 {
            self.up(0, encryption)?;
        }
        // CHAP with MD5 and PAP, in the clear
        (2..4).try_for_each(|authentication| self.up(authentication, 5))?;
        for authentication in 0..4 {
            self.logins(authentication)?;
        }
        for (target, shift) in [("mppe_stateless", 0), ("mppe_stateful", 0x80)] {
            self.line(target, shift)?;
        }
        self.echoes()?;
        self.gap()?;
        self.forged()?;
        self.early()?;
        self.write("failure", "v1", b"E=691 R=1 C=0102030405060708 V=3 M=again")?;
        self.write("failure", "v2", b"E=648 R=0 C=000102030405060708090A0B0C0D0E0F V=3 M=late")?;
        dns::composed().into_iter().try_for_each(|(name, seed)| self.write("dns", name, &seed))?;
        clear::composed()
            .into_iter()
            .try_for_each(|(name, seed)| self.write("clear", name, &seed))?;
        netstack::composed()
            .into_iter()
            .try_for_each(|(name, seed)| self.write("netstack", name, &seed))
    }

    /// A tunnel that is up: packets both ways, loss, another order, what is in the clear, a new negotiation
    fn up(&self, authentication: u8, encryption: u8) -> Outcome<()> {
        let mut writer = Writer::default();
        let octet = client::Setting::octet(true, true);
        writer.raw(&link::Setting::octets(authentication, encryption, true)).raw(&[octet]);
        client::Step::send(&mut writer, 7, 100);
        client::Step::server_sends(&mut writer, 7, 100);
        client::Step::wait(&mut writer, 5);
        client::Step::lose(&mut writer, 2);
        client::Step::server_sends(&mut writer, 3, 60);
        client::Step::delay(&mut writer, 9);
        client::Step::server_sends(&mut writer, 3, 60);
        client::Step::wait(&mut writer, 50);
        client::Step::plain(&mut writer, 40);
        for act in [2, 1, 0] {
            client::Step::server(&mut writer, act);
            client::Step::wait(&mut writer, 100);
        }
        self.write("client", &format!("up-{authentication}-{encryption}"), &writer.0)
    }

    /// The server is let speak, and its requests are answered by what we asked for
    fn logins(&self, authentication: u8) -> Outcome<()> {
        for target in ["lcp", "auth", "eap", "ccp", "ipcp", "ipv6cp"] {
            let mut writer = Writer::default();
            writer.raw(&link::Setting::octets(authentication, authentication, true));
            link::Step::answer(&mut writer, 3);
            link::Step::server(&mut writer, 3);
            link::Step::answer(&mut writer, 2);
            (0..4).for_each(|_| link::Step::server(&mut writer, 7));
            link::Step::plain(&mut writer, 40);
            link::Step::frame(&mut writer, b"\xFF\x03\xC0\x21\x09\x07\0\x08\0\0\0\0");
            self.write(target, &format!("server-{authentication}"), &writer.0)?;
        }
        Ok(())
    }

    /// Frames in order, late, lost, twice and damaged
    fn line(&self, target: &str, first: u8) -> Outcome<()> {
        let mut writer = Writer::default();
        writer.raw(&[first]).raw(&[7; 16]);
        mppe::Step::seal(&mut writer, 15, 40);
        for age in [15, 14, 12, 13, 13, 12, 0, 1, 5] {
            mppe::Step::deliver(&mut writer, age);
        }
        mppe::Step::lose(&mut writer, 600);
        mppe::Step::seal(&mut writer, 7, 40);
        for age in [7, 6, 5, 4, 3] {
            mppe::Step::deliver(&mut writer, age);
        }
        mppe::Step::damage(&mut writer, 2, 9, 1);
        mppe::Step::reset(&mut writer);
        mppe::Step::seal(&mut writer, 1, 40);
        mppe::Step::deliver(&mut writer, 0);
        mppe::Step::wait(&mut writer, 250);
        self.write(target, "line", &writer.0)
    }

    /// More echoes than answers may wait, and a message longer than any
    fn echoes(&self) -> Outcome<()> {
        let echo = b"\0\x10\0\x01\x1A\x2B\x3C\x4D\0\x05\0\0\0\0\0\xFF";
        self.write("control", "echoes", &echo.repeat(240))?;
        // what is no control message may be skipped, but not for ever
        let long = b"\x07\xD0\0\x02\x1A\x2B\x3C\x4D\0\x05\0\0";
        self.write("control", "long", &[&long[..], &[0; 1000]].concat())
    }

    /// A frame is missing, and more come behind it than may wait
    fn gap(&self) -> Outcome<()> {
        let mut writer = Writer::default();
        gre::Step::frame(&mut writer, 1, 10);
        gre::Step::frame(&mut writer, 2, 2048);
        (0..100).for_each(|_| gre::Step::frame(&mut writer, 1, 2048));
        self.write("gre", "gap", &writer.0)
    }

    /// Frames that agree with each other and with no key, far ahead and near
    fn forged(&self) -> Outcome<()> {
        for (target, first) in [("mppe_stateless", 0x40), ("mppe_stateful", 0xC0)] {
            let mut writer = Writer::default();
            writer.raw(&[first]).raw(&[7; 16]);
            for number in 0..24_u16 {
                let [high, low] = (0x9000 | (2000 + number)).to_be_bytes();
                let frame = [&[high, low][..], &[0x5A; 40]].concat();
                mppe::Step::raw(&mut writer, 200_000 + u32::from(number), &frame);
                mppe::Step::reset(&mut writer);
            }
            self.write(target, "forged", &writer.0)?;
        }
        Ok(())
    }

    /// GRE that overtakes the Outgoing-Call-Reply, and no end of it
    fn early(&self) -> Outcome<()> {
        let mut writer = Writer::default();
        writer
            .raw(&link::Setting::octets(0, 0, false))
            .raw(&[client::Setting::octet(false, false)]);
        (0..100).for_each(|_| client::Step::plain(&mut writer, 1400));
        self.write("client", "early", &writer.0)?;
        self.overtaking()?;
        (0..10).try_for_each(|encryption| self.strict("ccp", 0, encryption))?;
        (0..4).try_for_each(|authentication| self.strict("lcp", authentication, 0))
    }

    /// Every way that a server has, to a client that wants the best
    fn strict(&self, target: &str, authentication: u8, encryption: u8) -> Outcome<()> {
        let mut writer = Writer::default();
        writer.raw(&link::Setting::octets(authentication, encryption, false));
        (0..4).for_each(|_| link::Step::server(&mut writer, 7));
        link::Step::plain(&mut writer, 40);
        self.write(target, &format!("strict-{authentication}-{encryption}"), &writer.0)
    }

    /// Requests of the next phase, and no end of them
    fn overtaking(&self) -> Outcome<()> {
        let mut writer = Writer::default();
        writer.raw(&link::Setting::octets(0, 0, false));
        for number in 0..60 {
            let options = [&[3, 6, 10, 0, 0, number][..], &[200; 200]].concat();
            let head = [0xFF, 0x03, 0x80, 0x21, 1, number, 0, 210];
            link::Step::frame(&mut writer, &[&head[..], &options].concat());
        }
        self.write("auth", "overtaking", &writer.0)
    }
}
