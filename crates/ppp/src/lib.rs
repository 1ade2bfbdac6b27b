//! PPP (RFC 1661) for clients: LCP, MS-CHAPv2, CCP with MPPE, IPCP, joined in one Link
