"""States that a disk may hold after a power failure, made from a log of disk_log.c.

What is certain: the bytes that a file had when it was last synced, and the names that a folder had
when it was last synced. Each later write may be there, missing or cut at a sector, and each new,
changed or removed name may be there or not.
"""
import collections
import pathlib
import struct

SECTOR = 512
RECORD = struct.Struct("<IIIIQ")
OPEN, WRITE, TRUNCATE, SYNC, RENAME, LINK, UNLINK, MKDIR = range(1, 9)

Operation = collections.namedtuple("Operation", "kind path to offset data")


def read_log(path):
    data = pathlib.Path(path).read_bytes()
    operations, at = [], 0
    while at < len(data):
        kind, path_bytes, to_bytes, data_bytes, offset = RECORD.unpack_from(data, at)
        at += RECORD.size
        ends = [at + path_bytes, at + path_bytes + to_bytes, at + path_bytes + to_bytes + data_bytes]
        operations.append(Operation(kind, data[at:ends[0]].decode(), data[ends[0]:ends[1]].decode(),
                                    offset, data[ends[1]:ends[2]]))
        at = ends[2]
    return operations


def parent(path):
    return path.rpartition("/")[0]


def write_into(content, operation, data):
    end = operation.offset + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[operation.offset:end] = data


class Keep:
    """What of the unsynced is on the disk: `draw` is a random.Random, or True or False for all."""

    def __init__(self, draw):
        self.draw = draw

    def whole(self):
        return self.draw if isinstance(self.draw, bool) else self.draw.random() < 0.5

    def part(self, data):
        """The data that is there: all, none, or whole sectors from its beginning."""
        if isinstance(self.draw, bool) or self.draw.random() < 0.5:
            return data if self.whole() else b""
        return data[:self.draw.randrange(len(data) // SECTOR + 1) * SECTOR]


class Disk:
    """Follows operations on a folder that began as `root` is now."""

    def __init__(self, root):
        root = pathlib.Path(root)
        self.root = str(root)
        self.folders = {self.root} | {str(p) for p in root.rglob("*") if p.is_dir()}
        self.names = {}       # path -> file, as all operations so far left it
        self.synced = {}      # file -> its certain bytes
        self.certain = {}     # path -> file, certain
        self.certain_folders = set(self.folders)
        self.pending = []     # operations on names whose folder was not synced since
        self.writes = collections.defaultdict(list)  # file -> operations since it was synced
        self.files = 0
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self.names[str(path)] = self.certain[str(path)] = self._new(path.read_bytes())

    def _new(self, content=b""):
        self.files += 1
        self.synced[self.files] = bytes(content)
        return self.files

    def apply(self, operation):
        kind, path, to = operation.kind, operation.path, operation.to
        if kind == OPEN:
            if path not in self.names:
                self.names[path] = self._new()
                self.pending.append((OPEN, path, "", self.names[path]))
            if operation.offset:
                self.writes[self.names[path]].append(operation._replace(kind=TRUNCATE, offset=0))
        elif kind in (WRITE, TRUNCATE) and path in self.names:
            self.writes[self.names[path]].append(operation)
        elif kind == SYNC and path in self.folders:
            self._sync_folder(path)
        elif kind == SYNC and path in self.names:
            file = self.names[path]
            self.synced[file] = bytes(self._content(file, Keep(True)))
            self.writes[file] = []
        elif kind in (RENAME, LINK) and path in self.names:
            self.pending.append((kind, path, to, self.names[path]))
            self.names[to] = self.names[path]
            if kind == RENAME:
                del self.names[path]
        elif kind == UNLINK:
            self.pending.append((kind, path, "", self.names.pop(path, 0)))
            self.folders.discard(path)
        elif kind == MKDIR:
            self.folders.add(path)
            self.pending.append((kind, path, "", 0))

    def _sync_folder(self, path):
        left = []
        for change in self.pending:
            if parent(change[2] or change[1]) == path:
                self._change(change, self.certain, self.certain_folders)
            else:
                left.append(change)
        self.pending = left

    @staticmethod
    def _change(change, names, folders):
        kind, path, to, file = change
        if kind == OPEN:
            names[path] = file
        elif kind == MKDIR:
            folders.add(path)
        elif kind == UNLINK:
            names.pop(path, None)
            folders.discard(path)
        else:
            names[to] = file
            if kind == RENAME:
                names.pop(path, None)

    def _content(self, file, keep):
        content = bytearray(self.synced[file])
        for operation in self.writes[file]:
            if operation.kind == WRITE:
                write_into(content, operation, keep.part(operation.data))
            elif keep.whole():
                size = operation.offset
                del content[size:]
                content.extend(bytes(size - len(content)))
        return content

    def make_state(self, keep, target):
        """Writes a state that the disk may hold now into the folder `target`."""
        names, folders = dict(self.certain), set(self.certain_folders)
        for change in self.pending:
            if keep.whole():
                self._change(change, names, folders)
        target = pathlib.Path(target)
        for folder in sorted(folders):
            if all(str(up) in folders for up in pathlib.Path(folder).parents
                   if str(up).startswith(self.root)):
                (target / folder[len(self.root):].lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, file in names.items():
            place = target / path[len(self.root):].lstrip("/")
            if place.parent.is_dir():
                place.write_bytes(self._content(file, keep))
