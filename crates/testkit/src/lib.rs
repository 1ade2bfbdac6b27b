//! PPTP servers with buildings behind them, in memory or on real sockets, for tests of PPTP clients
