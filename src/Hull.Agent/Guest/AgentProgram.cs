using Hull.Core;
using Hull.Linux.Virtualization;

namespace Hull.Agent.Guest;

/// <summary>The whole life of the guest's init.</summary>
public static class AgentProgram
{
    public static int Run(string[] arguments)
    {
        if (arguments is [GuestArchive.Argument, _, _, _]) return GuestArchive.Run(arguments[1..]);
        if (Environment.ProcessId != 1)
        {
            Console.Error.WriteLine("hull-agent: this is the init of Hull's virtual machines; it does nothing elsewhere");
            return 2;
        }

        try
        {
            if (!GuestBoot.IsSecondStage) GuestBoot.EnterSecondStage();
            GuestBoot.MountKernelFileSystems();
            GuestBoot.LoadModules();
            GuestNetwork.Prepare();
            using var control = AgentPort.Open("hull.ctl");
            using var data = AgentPort.Open("hull.io");
            new AgentServer(control, data).Run();
        }
        catch (Exception failure)
        {
            // The last words of a machine go to its serial console, which the host keeps.
            Console.Error.WriteLine($"hull-agent: {(failure as HullException)?.FullMessage ?? failure.ToString()}");
        }

        GuestCalls.Sync();
        GuestCalls.PowerOff();
        return 1;
    }
}
