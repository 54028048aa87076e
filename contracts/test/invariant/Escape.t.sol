// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {EntitlementKind, EscapePhase} from "../../src/escape/IEscape.sol";
import {VmTest} from "../support/Vm.sol";
import {EscapeHandler} from "./EscapeHandler.sol";

/// @notice Whatever anybody does, in any order: ADR 046.
contract EscapeInvariantTest is VmTest {
    EscapeHandler private _handler;
    Escape private _escape;
    TestUsdc private _usdc;
    address private _custody;

    function setUp() external {
        _handler = new EscapeHandler();
        (_escape, _usdc, _custody) = _handler.parts();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_escape() public view {
        Escape.Books memory books = _escape.currentBooks();
        uint256 balance = _usdc.balanceOf(_custody);
        if (books.closedAt == 0) {
            vm.assertEq(_handler.payments(), 0);
            return;
        }
        uint256 payableNow;
        uint256 registered;
        for (uint64 i = 0; i < _handler.ACCOUNTS() + _handler.WITHDRAWALS() + 2; ++i) {
            (EntitlementKind kind, uint64 number) = thing(i);
            (uint256 amount, uint256 inTime) = oneOf(kind, number, books);
            payableNow += amount;
            registered += inTime;
        }
        vm.assertTrue(registered <= books.registered, "sum");
        vm.assertGe(balance, payableNow, "the vault covers what is payable");
        vm.assertEq(balance + _handler.paid(), books.vault, "what left was paid");
        if (_escape.phase() == EscapePhase.RESIDUAL) dustIsBounded(balance, payableNow);
    }

    /// @dev What is payable for one thing, and what it registered in time and is not yet paid.
    function oneOf(EntitlementKind kind, uint64 number, Escape.Books memory books)
        private
        view
        returns (uint256 amount, uint256 inTime)
    {
        (, amount) = _escape.payableOf(kind, number);
        Escape.Entitlement memory entitlement = _escape.entitlementOf(kind, number);
        uint64 round = _escape.round();
        vm.assertTrue(_handler.timesPaid(round, kind, number) == (entitlement.status == 3 ? 1 : 0), "paid once");
        if ((kind == EntitlementKind.ACCOUNT && number < 2) || entitlement.amount == 0) return (amount, 0);
        // Factor at most 1.
        uint256 got = entitlement.status == 3 ? _handler.paidTo(round, kind, number) : amount;
        vm.assertTrue(got <= entitlement.amount, "factor");
        if (entitlement.status != 1) return (amount, 0);
        uint256 share = books.vault < books.registered ? books.vault : books.registered;
        vm.assertEq(amount, uint256(entitlement.amount) * share / books.registered, "same share");
        inTime = entitlement.amount;
    }

    /// @dev When everything is paid no more than a micro-USDC for each thing stays, once the insurance has come.
    function dustIsBounded(uint256 balance, uint256 payableNow) private view {
        if (_escape.entitlementOf(EntitlementKind.ACCOUNT, 1).status == 0) return;
        uint256 treasury = _escape.entitlementOf(EntitlementKind.ACCOUNT, 0).status;
        if (treasury != 0) vm.assertLt(balance - payableNow, 13, "dust");
    }

    function thing(uint64 i) private view returns (EntitlementKind, uint64) {
        if (i < _handler.ACCOUNTS()) return (EntitlementKind.ACCOUNT, i);
        i -= _handler.ACCOUNTS();
        if (i < _handler.WITHDRAWALS()) return (EntitlementKind.WITHDRAWAL, i);
        return (EntitlementKind.DEPOSIT, _handler.deposits(i - _handler.WITHDRAWALS()));
    }

    /// @notice The handler reaches every phase, late registration and discarded anchors.
    function test_handlerReachesEverything() external {
        for (uint256 i = 0; i < 60; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            if (i > 2) _handler.freeze();
            _handler.addToVault(random >> 8);
            _handler.anchor();
            _handler.mark(random >> 16);
            _handler.register(random >> 24);
            if (i == 9) _handler.fraud(1 << 8);
            if (i == 9) _handler.fraud(16 << 8);
            _handler.pay(random >> 32);
            _handler.close();
            _handler.passTime(1.4 days);
            invariant_escape();
        }
        for (uint8 phase = 0; phase <= uint8(EscapePhase.RESIDUAL); ++phase) {
            vm.assertTrue(_handler.visited(EscapePhase(phase)) > 0, "phase");
        }
        vm.assertTrue(_handler.lateRegistrations() > 0, "late");
        vm.assertTrue(_handler.payments() > 3, "payments");
        vm.assertTrue(_handler.discarded() > 0, "discarded");
    }
}
