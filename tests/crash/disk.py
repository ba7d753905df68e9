"""An ext4 on a loop device, whose power can be cut: what was not flushed is gone. Python 3, standard library; root."""
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time

FS_IOC_SHUTDOWN = 0x8004587d
NOLOGFLUSH = struct.pack('I', 2)


class Disk:
    """An ext4 of its own, to cut the power of."""

    def __init__(self, parent, options=()):
        self.image = tempfile.mktemp(prefix='disk.', dir=parent)
        self.top = tempfile.mkdtemp(prefix='mnt.', dir=parent)
        self.make_image()
        subprocess.run(['mkfs.ext4', '-q', '-E', 'lazy_itable_init=1', *options, self.image], check=True)
        self.mount()
        os.chmod(self.top, 0o755)

    def make_image(self):
        with open(self.image, 'wb') as f:
            f.truncate(48 << 20)

    def mount(self):
        subprocess.run(['mount', '-o', 'loop', self.image, self.top], check=True)

    def umount(self):
        for _ in range(200):
            if subprocess.run(['umount', self.top], stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.01)
        raise OSError('can not unmount')

    def cut(self):
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.ioctl(fd, FS_IOC_SHUTDOWN, NOLOGFLUSH)
        os.close(fd)

    def end(self):
        self.umount()
        os.unlink(self.image)
        os.rmdir(self.top)


class FailingDisk(Disk):
    """The same on a memory file that has no room while a test says so: then writes of new blocks fail, the journal's do not."""

    def __init__(self, parent):
        self.memory = tempfile.mkdtemp(prefix='memory.', dir=parent)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=52m,mode=755', 'none', self.memory], check=True)
        super().__init__(self.memory, ('-E', 'nodiscard'))

    def mount(self):
        with open(self.image, 'r+b') as f:  # mkfs leaves holes, in the journal too
            octets = f.read()
            f.seek(0)
            f.write(octets)
        super().mount()
        subprocess.run(['fstrim', self.top], check=True)

    def fail(self):
        with open(os.path.join(self.memory, 'filler'), 'wb', buffering=0) as f:
            try:
                while f.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass

    def work(self):
        os.unlink(os.path.join(self.memory, 'filler'))

    def end(self):
        super().end()
        subprocess.run(['umount', self.memory], check=True)
        os.rmdir(self.memory)


def can_cut():
    return os.path.exists('/dev/loop-control') and shutil.which('mkfs.ext4') is not None
