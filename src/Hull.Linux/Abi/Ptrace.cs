namespace Hull.Linux.Abi;

/// <summary>Requests, options and events of ptrace(2).</summary>
[CHeader("linux/ptrace.h")]
public static class Ptrace
{
    public const int PTRACE_SINGLESTEP = 9;
    public const int PTRACE_DETACH = 17;
    public const int PTRACE_SETOPTIONS = 0x4200;
    public const int PTRACE_GETEVENTMSG = 0x4201;
    public const int PTRACE_GETREGSET = 0x4204;
    public const int PTRACE_SETREGSET = 0x4205;
    public const int PTRACE_SEIZE = 0x4206;
    public const int PTRACE_INTERRUPT = 0x4207;
    public const int PTRACE_GETSIGMASK = 0x420a;
    public const int PTRACE_SETSIGMASK = 0x420b;
    public const int PTRACE_O_TRACECLONE = 8;
    public const int PTRACE_O_EXITKILL = 0x100000;
    public const int PTRACE_O_SUSPEND_SECCOMP = 0x200000;
    public const int PTRACE_EVENT_CLONE = 3;
    public const int PTRACE_EVENT_STOP = 128;
}

/// <summary>Sets of registers, by the notes of core files that have them.</summary>
[CHeader("elf.h")]
public static class RegisterSets
{
    public const int NT_PRSTATUS = 1;
    public const int NT_X86_XSTATE = 0x202;
}

/// <summary>General registers of a thread on x86-64.</summary>
[CHeader("sys/user.h"), CName("struct user_regs_struct")]
public struct UserRegisters
{
    public ulong r15;
    public ulong r14;
    public ulong r13;
    public ulong r12;
    public ulong rbp;
    public ulong rbx;
    public ulong r11;
    public ulong r10;
    public ulong r9;
    public ulong r8;
    public ulong rax;
    public ulong rcx;
    public ulong rdx;
    public ulong rsi;
    public ulong rdi;
    public ulong orig_rax;
    public ulong rip;
    public ulong cs;
    public ulong eflags;
    public ulong rsp;
    public ulong ss;
    public ulong fs_base;
    public ulong gs_base;
    public ulong ds;
    public ulong es;
    public ulong fs;
    public ulong gs;
}
