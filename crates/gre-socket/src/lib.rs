//! IP protocol 47 in batches: the raw socket, demultiplexing by Call ID, and a network in memory
