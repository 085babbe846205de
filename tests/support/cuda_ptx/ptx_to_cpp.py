"""Turns the PTX of CUDA kernels into C++ that runs on host execution: ptx_to_cpp.py IN.ptx OUT.cpp

A register becomes a local variable that starts as rubbish, an instruction a statement, a branch a goto, and what a warp or block
does together a call of the same words as the C++ of a kernel makes (words.h). Every line of PTX becomes one line of C++, so
that a fault names the line of the PTX. What is not in the tables below is an error: nothing is guessed.
"""
import re
import sys

INT = {f'{s}{n}': f'{"int" if s == "s" else "uint"}{n}_t' for s in 'sub' for n in (8, 16, 32, 64)}
C_TYPE = {**INT, 'f32': 'float', 'f64': 'double', 'pred': 'bool'}
BITS = {**{t: int(t[1:]) for t in C_TYPE if t != 'pred'}, 'pred': 1}
# Not a number in any width; as an index far from everything.
UNSET = {'pred': 'true', 'b16': '0xffad', 'b32': '0xffffdead', 'b64': '0xffffdeadffffdead', 'f32': 'unset_f32',
         'f64': 'unset_f64'}
SPECIAL = {**{f'%tid.{a}': f'thread_index(\'{a}\')' for a in 'xyz'}, **{f'%ctaid.{a}': f'block_index(\'{a}\')' for a in 'xyz'},
           **{f'%nctaid.{a}': f'grid_size(\'{a}\')' for a in 'xyz'}}
COMPARE = {'eq': '{0} == {1}', 'lt': '{0} < {1}', 'le': '{0} <= {1}', 'gt': '{0} > {1}', 'ge': '{0} >= {1}'}
# Of floats: an ordered comparison with NaN is false, an unordered one true.
COMPARE_INT = {**COMPARE, 'ne': '{0} != {1}'}
COMPARE_FLOAT = {**COMPARE, 'ne': '{0} < {1} || {0} > {1}', 'equ': '!({0} < {1} || {0} > {1})', 'neu': '{0} != {1}', 'ltu': '!({0} >= {1})',
                 'leu': '!({0} > {1})', 'gtu': '!({0} <= {1})', 'geu': '!({0} < {1})', 'num': '{0} == {0} && {1} == {1}',
                 'nan': '{0} != {0} || {1} != {1}'}

# Opcode, type of the result, types of the operands, value.
VALUES = [
    (r'add\.[su](16|32|64)', r'u\1', r'u\1 u\1', '{0} + {1}'),
    (r'sub\.[su](16|32|64)', r'u\1', r'u\1 u\1', '{0} - {1}'),
    (r'mul\.lo\.[su](32|64)', r'u\1', r'u\1 u\1', '{0} * {1}'),
    (r'mul\.lo\.[su]16', 'u16', 'u16 u16', '{0} * 1u * {1}'),
    (r'mul\.wide\.([su])16', r'\g<1>32', r'\g<1>16 \g<1>16', '{0} * {1}'),
    (r'mul\.wide\.s32', 's64', 's32 s32', 'int64_t({0}) * {1}'),
    (r'mul\.wide\.u32', 'u64', 'u32 u32', 'uint64_t({0}) * {1}'),
    (r'mul\.hi\.s32', 's32', 's32 s32', 'int64_t({0}) * {1} >> 32'),
    (r'mul\.hi\.u32', 'u32', 'u32 u32', 'uint64_t({0}) * {1} >> 32'),
    (r'mad\.lo\.[su](32|64)', r'u\1', r'u\1 u\1 u\1', '{0} * {1} + {2}'),
    (r'neg\.s(32|64)', r'u\1', r'u\1', '0 - {0}'),
    (r'div\.([su]\d+)', r'\1', r'\1 \1', 'quotient({0}, {1})'),
    (r'rem\.([su]\d+)', r'\1', r'\1 \1', 'remainder({0}, {1})'),
    (r'min\.([su]\d+)', r'\1', r'\1 \1', 'least({0}, {1})'),
    (r'max\.([su]\d+)', r'\1', r'\1 \1', 'most({0}, {1})'),
    (r'and\.(b\d+|pred)', r'\1', r'\1 \1', '{0} & {1}'),
    (r'or\.(b\d+|pred)', r'\1', r'\1 \1', '{0} | {1}'),
    (r'xor\.(b\d+|pred)', r'\1', r'\1 \1', '{0} ^ {1}'),
    (r'not\.(b\d+)', r'\1', r'\1', '~{0}'),
    (r'not\.pred', 'pred', 'pred', '!{0}'),
    (r'shl\.(b\d+)', r'\1', r'\1 u32', 'shift_left({0}, {1})'),
    (r'shr\.([bsu]\d+)', r'\1', r'\1 u32', 'shift_right({0}, {1})'),
    (r'bfi\.b32', 'b32', 'b32 b32 u32 u32', 'insert_bits({0}, {1}, {2}, {3})'),
    (r'bfe\.u32', 'u32', 'u32 u32 u32', 'extract_bits({0}, {1}, {2})'),
    (r'popc\.b32', 'u32', 'b32', 'uint32_t(std::popcount({0}))'),
    (r'add\.(f32|f64)', r'\1', r'\1 \1', '{0} + {1}'),
    (r'sub\.(f32|f64)', r'\1', r'\1 \1', '{0} - {1}'),
    (r'mul\.(f32|f64)', r'\1', r'\1 \1', '{0} * {1}'),
    (r'neg\.(f32|f64)', r'\1', r'\1', '-{0}'),
    (r'abs\.(f32|f64)', r'\1', r'\1', 'magnitude({0})'),
    (r'fma\.rn\.(f32|f64)', r'\1', r'\1 \1 \1', 'fused({0}, {1}, {2})'),
    (r'div\.rn\.(f32|f64)', r'\1', r'\1 \1', '{0} / {1}'),
    (r'sqrt\.rn\.(f32|f64)', r'\1', r'\1', 'root({0})'),
    (r'min\.f32', 'f32', 'f32 f32', 'smaller({0}, {1})'),
    (r'max\.f32', 'f32', 'f32 f32', 'larger({0}, {1})'),
    (r'ex2\.approx\.ftz\.f32', 'f32', 'f32', 'approx_exp2({0})'),
    (r'lg2\.approx\.ftz\.f32', 'f32', 'f32', 'approx_log2({0})'),
    (r'rcp\.approx\.ftz\.f32', 'f32', 'f32', 'approx_rcp({0})'),
    (r'rsqrt\.approx\.ftz\.f32', 'f32', 'f32', 'approx_rsqrt({0})'),
    (r'cvt\.([su]\d+)\.([su]\d+)', r'\1', r'\2', '{0}'),
    (r'cvt\.rn\.(f\d+)\.([su]\d+)', r'\1', r'\2', '{0}'),
    (r'cvt(?:\.rn)?\.(f32|f64)\.(f32|f64)', r'\1', r'\2', '{0}'),
    (r'cvt\.f32\.f16', 'f32', 'b16', 'of_f16({0})'),
    # The first operand goes to the high half.
    (r'cvt\.rn\.bf16x2\.f32', 'b32', 'f32 f32', 'pack_bf16({1}, {0})'),
    (r'cvt\.rn\.f16x2\.f32', 'b32', 'f32 f32', 'pack_f16({1}, {0})'),
    (r'selp\.([bsuf]\d+)', r'\1', r'\1 \1 pred', '{2} ? {0} : {1}'),
    (r'mov\.([bsuf]\d+|pred)', r'\1', r'\1', '{0}'),
    (r'cvta\.to\.(?:global|shared)\.u64', 'u64', 'u64', '{0}'),
    (r'vote\.sync\.any\.pred', 'pred', 'pred u32', 'any({0}, {1})'),
    (r'vote\.sync\.ballot\.b32', 'b32', 'pred u32', 'ballot({0}, {1})'),
    (r'atom\.shared\.add\.([su]32)', r'\1', r'shared \1', 'add_shared({0}, {1})'),
    (r'atom\.global\.add\.([su]32|f32|f64)', r'\1', r'global \1', 'add_global({0}, {1})'),
]
# Without a result.
ACTIONS = [
    (r'bar\.sync', 'u32', 'sync_block({0})'),
    (r'bar\.warp\.sync', 'u32', 'sync_warp({0})'),
    (r'cp\.async\.cg\.shared\.global', 'shared global u32 u32', 'copy_async({0}, {1}, {2}, {3})'),
    (r'cp\.async\.commit_group', '', 'commit_copies()'),
    (r'cp\.async\.wait_group', 'u32', 'wait_copies({0})'),
]


class Kernel:
    """One .entry: its registers and the C++ of its lines."""

    def __init__(self, symbol, shared):
        self.symbol, self.shared, self.registers = symbol, shared, {}
        self.param, self.param_bytes, self.threads = '', 0, 0

    def read(self, operand, t):
        """The operand as a value of PTX type t, or an address in one of the spaces."""
        if t in ('shared', 'global', 'param'):
            return self.address(operand)
        if operand in SPECIAL:
            return f'{C_TYPE[t]}({SPECIAL[operand]})'
        if operand == self.param:
            return '0'
        if operand == self.shared:
            return 'kSharedBase'
        if (m := re.fullmatch(r'0([fd])([0-9A-F]{8}|[0-9A-F]{16})', operand)) and BITS[t] == 4 * len(m[2]):
            return f'bits<{C_TYPE[t]}>(uint{BITS[t]}_t(0x{m[2]}))'
        if re.fullmatch(r'-?\d+', operand) and t[0] != 'f':
            return f'{C_TYPE[t]}({int(operand) % (1 << max(BITS[t], 32))}ull)'
        own = self.registers[operand]
        if C_TYPE[own] == C_TYPE[t]:
            return operand[1:]
        if t in INT and own in INT:
            return f'{C_TYPE[t]}({operand[1:]})'
        if t != 'pred' and BITS[own] == BITS[t]:
            return f'bits<{C_TYPE[t]}>({operand[1:]})'
        raise KeyError(f'{operand} as {t}')

    def address(self, operand):
        m = re.fullmatch(r'\[([^\]+]+)(?:\+(-?\d+))?\]', operand)
        base = self.read(m[1], 'u64' if m[1] == self.param or self.registers[m[1]] == 'b64' else 'u32')
        return f'{base} + {m[2]}' if m[2] else base

    def write(self, register, t, value):
        own = self.registers[register]
        if C_TYPE[own] == C_TYPE[t]:
            return f'{register[1:]} = {C_TYPE[t]}({value});'
        if t in INT and own in INT:
            return f'{register[1:]} = {C_TYPE[own]}({C_TYPE[t]}({value}));'
        if t != 'pred' and BITS[own] == BITS[t]:
            return f'{register[1:]} = bits<{C_TYPE[own]}>({C_TYPE[t]}({value}));'
        raise KeyError(f'{register} from {t}')

    def all_of(self, operands, types):
        types = types.split()
        if len(types) != len(operands):
            raise KeyError(f'{len(operands)} operands')
        return [self.read(o, t) for o, t in zip(operands, types)]

    def statement(self, opcode, operands):
        for pattern, result, types, value in VALUES:
            if (m := re.fullmatch(pattern, opcode)) and not operands[-1].startswith('{') and not operands[0].startswith('{'):
                t = m.expand(result)
                values = self.all_of(operands[1:], m.expand(types))
                return self.write(operands[0], t, m.expand(value).format(*values))
        for pattern, types, call in ACTIONS:
            if re.fullmatch(pattern, opcode):
                return call.format(*self.all_of(operands, types)) + ';'
        for pattern, count, make in SHAPED:
            if (m := re.fullmatch(pattern, opcode)) and len(operands) == count:
                return make(self, m, operands)
        raise KeyError('no such instruction')


def parts(operand, count=None):
    """The registers of a list; `count`: '.v2', '.v4' or None, how many they must be."""
    registers = [p.strip() for p in operand.strip('{}').split(',')]
    if len(registers) != (int(count[2:]) if count else 1):
        raise KeyError(f'{len(registers)} registers')
    return registers


def compare(k, m, operands):
    t = m[2]
    values = k.all_of(operands[1:], f'{t} {t}')
    return k.write(operands[0], 'pred', (COMPARE_FLOAT if t[0] == 'f' else COMPARE_INT)[m[1]].format(*values))


def load(k, m, operands):
    to = parts(operands[0], m[2])
    where = k.address(operands[1])
    stores = ' '.join(k.write(r, m[3], f'v[{i}]') for i, r in enumerate(to))
    space = 'load_param' if m[1] == 'param' else f'load_{m[1]}'
    first = 'param, ' if m[1] == 'param' else ''
    return f'{{ auto v = {space}<{C_TYPE[m[3]]}, {len(to)}>({first}{where}); {stores} }}'


def store(k, m, operands):
    values = ', '.join(f'{C_TYPE[m[3]]}({k.read(r, m[3])})' for r in parts(operands[1], m[2]))
    return f'store_{m[1]}({k.address(operands[0])}, std::array{{{values}}});'


def split_or_join(k, m, operands):
    """mov between one register and a list of two halves, the first the low one."""
    half = f'b{int(m[1]) // 2}'
    if operands[0].startswith('{'):
        low, high = parts(operands[0], '.v2')
        value = k.read(operands[1], m[0][4:])
        return f'{{ auto v = {value}; {k.write(low, half, "v")} {k.write(high, half, f"v >> {BITS[half]}")} }}'
    low, high = parts(operands[1], '.v2')
    wide = C_TYPE[m[0][4:]]
    return k.write(operands[0], m[0][4:], f'{k.read(low, half)} | {wide}({k.read(high, half)}) << {BITS[half]}')


def shuffle(k, m, operands):
    """d|p: p says whether the source lane is one."""
    to, _, in_range = operands[0].partition('|')
    value, lane, clamp, members = k.all_of(operands[1:], 'b32 u32 u32 u32')
    first = k.write(in_range, 'pred', f'in_range_{m[1]}({lane})') + ' ' if in_range else ''
    return first + k.write(to, 'b32', f'shuffle_{m[1]}({value}, {lane}, {clamp}, {members})')


def matrices(k, m, operands):
    stores = ' '.join(k.write(r, 'b32', f'v.{c}') for r, c in zip(parts(operands[0], '.v4'), 'xyzw'))
    return f'{{ hw::U4 v = load_matrices({"true" if m[1] else "false"}, {k.address(operands[1])}); {stores} }}'


def product(k, m, operands):
    a, b = ([k.read(r, 'b32') for r in parts(o, n)] for o, n in zip(operands[1:3], ('.v4', '.v2')))
    c = ', '.join(k.read(r, 'f32') for r in parts(operands[3], '.v4'))
    stores = ' '.join(k.write(r, 'f32', f'c.{x}') for r, x in zip(parts(operands[0], '.v4'), 'xyzw'))
    return f'{{ hw::F4 c{{{c}}}; multiply_{m[1]}(c, {{{", ".join(a)}}}, {", ".join(b)}); {stores} }}'


# Opcode, number of operands, what writes the statement.
SHAPED = [
    (r'setp\.([a-z]+)\.([bsuf]\d+)', 3, compare),
    (r'ld\.(param|shared|global)(\.v[24])?\.([bsuf]\d+)', 2, load),
    (r'st\.(shared|global)(\.v[24])?\.([bsuf]\d+)', 2, store),
    (r'mov\.b(32|64)', 2, split_or_join),
    (r'shfl\.sync\.(bfly|idx|up)\.b32', 5, shuffle),
    (r'ldmatrix\.sync\.aligned\.m8n8\.x4(\.trans)?\.shared\.b16', 2, matrices),
    (r'mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.(bf16|f16)\.\1\.f32', 4, product),
    (r'bra(?:\.uni)?', 1, lambda k, m, operands: f'goto {operands[0].lstrip("$")};'),
    (r'ret', 0, lambda k, m, operands: 'return;'),
]


def instruction(kernel, text):
    m = re.fullmatch(r'(?:@(!?)%(p\d+)\s+)?([a-z][\w.]*)\s*(.*)', text)
    if not m:
        raise KeyError('no instruction')
    operands = re.findall(r'\{[^}]*\}|\[[^\]]*\]|[^,\s]+', m[4])
    statement = kernel.statement(m[3], operands)
    return f'if ({m[1]}{m[2]}) {{ {statement} }}' if m[2] else statement


class Translation:
    """A file of PTX: what has been read of it."""

    def __init__(self):
        self.kernels, self.shared = [], ''

    def line(self, text):
        """The C++ of one line."""
        text = text.split('//')[0].strip()
        if not text or text == ')' or re.match(r'\.(version|target|address_size|pragma|minnctapersm)\b', text):
            return ''
        if m := re.fullmatch(r'\.extern \.shared \.align \d+ \.b8 (\w+)\[\];', text):
            self.shared = m[1]  # the block's dynamic memory
            return ''
        if m := re.fullmatch(r'(?:\.visible )?\.entry (\w+)\(', text):
            self.kernels.append(Kernel(m[1], self.shared))
            return f'void kernel_{len(self.kernels)}(Param param)'
        kernel = self.kernels[-1]
        if m := re.fullmatch(r'\.param \.align \d+ \.b8 (\w+)\[(\d+)\]', text):
            kernel.param, kernel.param_bytes = m[1], int(m[2])
            return ''
        if m := re.fullmatch(r'\.maxntid (\d+)(?:, 1, 1)?', text):
            kernel.threads = int(m[1])
            return ''
        if m := re.fullmatch(r'\.reg \.(\w+)\s+%(\w+)<(\d+)>;', text):
            names = [f'{m[2]}{i}' for i in range(1, int(m[3]))]
            kernel.registers.update({f'%{n}': m[1] for n in names})
            return f'{C_TYPE[m[1]]} ' + ', '.join(f'{n} = {UNSET[m[1]]}' for n in names) + ';' if names else ''
        if m := re.fullmatch(r'\$(\w+):', text):
            return f'{m[1]}:;'
        if text in '{}':
            return text
        return ' '.join(instruction(kernel, s.strip()) for s in text.split(';') if s.strip())


def main(source, target):
    translation = Translation()
    out = ['#include "tests/support/cuda_ptx/words.h"', 'namespace zt::cuda_ptx { namespace {', f'#line 1 "{source.split("/")[-1]}"']
    with open(source) as f:
        for number, text in enumerate(f, 1):
            try:
                out.append(translation.line(text))
            except Exception as e:  # whatever it is that was not expected, the line is refused
                sys.exit(f'untranslated: {source}:{number}: {text.strip()} ({e})')
    rows = ', '.join(f'{{"{k.symbol}", kernel_{i}, {k.param_bytes}, {k.threads}}}' for i, k in enumerate(translation.kernels, 1))
    out.append(f'const Registered registered{{{rows}}};\n}} }}\n')
    with open(target, 'w') as f:
        f.write('\n'.join(out))


if __name__ == '__main__':
    main(*sys.argv[1:])
