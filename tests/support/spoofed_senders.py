"""Sends datagrams with forged senders to the program's services, and counts what they answer.

usage: unshare -rn python3 spoofed_senders.py PROGRAM BACKEND

In a network namespace of its own: a TUN device plays the wire. Ends with status 77 where there can
be none. Prints a line for each rule: what was sent, what came back. See: CERT CA-1996-01.
"""
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import time

OURS = '10.9.0.1'
SENT_PER_RULE = 1000
FORBIDDEN_PORTS = [0, 1, 7, 9, 13, 17, 19, 37, 53, 123, 161, 389, 1023, 1900, 2049, 3702, 5353,
                   11211]


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def setting(name, value):
    with open('/proc/sys/net/ipv4/conf/' + name, 'w') as file:
        file.write(str(value))


def make_wire():
    """A TUN device: what is written to it comes in from the wire, what leaves is read from it."""
    wire = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    tun_without_header = struct.pack('16sH', b'wire', 0x0001 | 0x1000)
    fcntl.ioctl(wire, 0x400454CA, tun_without_header)  # TUNSETIFF
    run('ip', 'link', 'set', 'lo', 'up')
    run('ip', 'address', 'add', OURS + '/24', 'broadcast', '10.9.0.255', 'dev', 'wire')
    run('ip', 'link', 'set', 'wire', 'up')
    run('ip', 'route', 'add', 'default', 'dev', 'wire')
    # Let through what a careless network would: the program is asked, not the kernel.
    for name in ('all', 'wire'):
        setting(name + '/rp_filter', 0)
        setting(name + '/route_localnet', 1)
        setting(name + '/accept_local', 1)
    return wire


def packed(address):
    return bytes(int(part) for part in address.split('.'))


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source, source_port, port, payload):
    udp = struct.pack('!HHHH', source_port, port, 8 + len(payload), 0) + payload
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, packed(source),
                       packed(OURS))
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + udp


class Services:
    def __init__(self, program, backend):
        self.process = subprocess.Popen(
            [program, 'serve', 'small,timestamp,hello', 'udp://*:0', '--allow-public-udp', '-b',
             backend], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ports = {}
        for _ in range(7):
            name, port = re.match(r'sockeye: (\w+) ready on udp://0\.0\.0\.0:(\d+) ',
                                  self.process.stdout.readline()).groups()
            self.ports[name] = int(port)

    def stop(self):
        self.process.terminate()
        return self.process.communicate(timeout=60)[1]


class Wire:
    def __init__(self):
        self.fd = make_wire()
        self.bytes_in = 0

    def send(self, source, source_port, port, payload):
        self.bytes_in += len(payload)
        os.write(self.fd, datagram(source, source_port, port, payload))

    def answers(self, patience):
        """The payloads of all UDP datagrams that leave, until none has for so long."""
        found = []
        while select.select([self.fd], [], [], patience)[0]:
            packet = os.read(self.fd, 65536)
            if packet[0] >> 4 == 4 and packet[9] == 17:
                found.append(packet[28:])
        return found


def far_source(number):
    """Addresses of the wide world, each in a /24 of its own, so that no rate is in the way."""
    return '198.%d.%d.7' % (18 + number // 250 % 2, number % 250)


def check(rule, wire, services, senders, most, ports=None):
    """Sends a thousand, and waits until the services have taken them all."""
    targets = ports or list(services.ports.values())
    before = wire.bytes_in
    began = time.monotonic()
    answers = []
    for number in range(SENT_PER_RULE):
        source, source_port = senders(number)
        wire.send(source, source_port, targets[number % len(targets)], b'spoofed')
        if number % 50 == 49:
            answers += wire.answers(0.01)
    answers += wire.answers(0.3)
    bytes_out = sum(map(len, answers))
    allowed = most(time.monotonic() - began)
    is_good = len(answers) <= allowed and bytes_out <= wire.bytes_in - before
    print('%s: %d sent, %d answered (at most %d), %d bytes in, %d bytes out: %s' % (
        rule, SENT_PER_RULE, len(answers), allowed, wire.bytes_in - before, bytes_out,
        'good' if is_good else 'BAD'))
    return is_good, len(answers)


def check_all(wire, services):
    none = lambda seconds: 0
    own = list(services.ports.values())
    echo = [services.ports['echo']]
    forbidden = FORBIDDEN_PORTS + own
    nobody = ['0.0.0.0', '255.255.255.255', '10.9.0.255', '224.0.0.1', '239.255.0.1', '127.0.0.1',
              '127.9.9.9']
    rules = [
        check('forbidden ports', wire, services,
              lambda n: (far_source(n), forbidden[n % len(forbidden)]), none),
        check('addresses of nobody and of everybody', wire, services,
              lambda n: (nobody[n % len(nobody)], 40000 + n), none),
        check('answers longer than what was asked', wire, services,
              lambda n: (far_source(n), 40000 + n), none,
              [services.ports[name] for name in ('daytime', 'hello', 'timestamp')]),
        check('one source', wire, services, lambda n: ('203.0.113.7', 40000 + n),
              lambda seconds: 10 * (seconds + 1), echo),
        check('every source', wire, services, lambda n: (far_source(n), 40000 + n),
              lambda seconds: 1000 * (seconds + 1), echo),
    ]
    # The last two are answered in part: it is the rules that say no, not the wire.
    return all(good for good, _ in rules) and rules[3][1] > 0 and rules[4][1] > 100


def main():
    try:
        wire = Wire()
    except (OSError, subprocess.CalledProcessError) as problem:
        print('no TUN device can be had:', problem)
        return 77
    services = Services(*sys.argv[1:])
    try:
        is_good = check_all(wire, services)
    finally:
        talk = services.stop()
    print(talk.splitlines()[-1])
    return 0 if is_good else 1


sys.exit(main())
